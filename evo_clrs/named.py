"""Programs by what people call them: packaged ones, files, and those of a run."""

import ast
from collections.abc import Sequence
from pathlib import Path

from evo_clrs import program, programs
from evo_clrs.errors import UserError
from evo_clrs.problems.clrs.protocol_run import Program
from evo_clrs.records import Candidate
from evo_clrs.slots import SLOTS
from evo_clrs.store import Store, selection

# The slots of CLRS; a file that defines both is a processor with a helper.
CLRS_SLOTS = ("processor", "triplet")


def find(text: str) -> Program:
    """Returns the program that a text names.

    Args:
      text: the name of a packaged program, the path of a file, or `RUN:PROGRAM` with a run folder
        and one of `#7` (index of a program of the run), its identity, or `best`.

    Raises:
      UserError: there is no such program, or it fills no slot of CLRS.
    """
    for slot in CLRS_SLOTS:
        if text in (packaged := programs.load(slot)):
            return Program(text, slot, packaged[text])
    path = Path(text)
    if path.is_file():
        return _of_file(path)
    folder, colon, which = text.rpartition(":")
    if colon and Path(folder).is_dir():
        return _of_run(Path(folder), which)
    names = ", ".join(name for slot in CLRS_SLOTS for name in programs.load(slot))
    raise UserError(
        f"program {text!r} is neither a file, nor RUN:PROGRAM with a run folder, nor one of {names}"
    )


def _of_file(path: Path) -> Program:
    source = path.read_text(encoding="utf-8", errors="replace")
    try:
        defined = _definitions(program.parse(source))
    except ValueError as error:
        raise UserError(f"program {path}: {error}") from None
    for slot in CLRS_SLOTS:
        if SLOTS[slot].definition in defined:
            return Program(path.stem, slot, source)
    wanted = " nor ".join(f"{SLOTS[slot].definition} (slot {slot})" for slot in CLRS_SLOTS)
    raise UserError(f"program {path}: defines neither {wanted}")


def _definitions(tree: ast.Module) -> Sequence[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [statement.name for statement in tree.body if isinstance(statement, kinds)]


def _of_run(folder: Path, which: str) -> Program:
    with Store.read(folder) as store:
        slot = str(store.identity.get("slot", ""))
        if slot not in CLRS_SLOTS:
            raise UserError(
                f"run {folder} searches slot {slot}: the full protocol is for programs of "
                f"{' and '.join(CLRS_SLOTS)}"
            )
        candidate = _candidate(store, which)
        if candidate is None:
            raise UserError(
                f"run {folder} has no program {which!r}: give the index as #7, the identity, or "
                f"best; it has {len(store.candidates())} programs"
            )
    return Program(f"{folder.resolve().name}:#{candidate.index}", slot, candidate.source)


def _candidate(store: Store, which: str) -> Candidate | None:
    if which == "best":
        selected = selection.winner(store)
        return store.best() if selected is None else selected.candidate
    number = which.removeprefix("#")
    if number.isdecimal() and len(number) < 16:
        return store.candidate(int(number))
    index = store.find_program(which)
    return None if index is None else store.candidate(index)
