"""The corpus of a small language model: children with the parents they were made from.

The grammar operator proposes them as in a search that goes on from the seeds, up to five
generations deep, see `grammar.survey`. They are cut into chunks, each from its own seed, which are
made side by side and kept one by one, so that making a corpus can be broken off.
"""

import ast
import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evo_clrs import program, programs
from evo_clrs.proposers import endings
from evo_clrs.proposers.grammar.survey import survey_proposals
from evo_clrs.slots import SLOTS, Slot

CHUNK = 100  # proposals
HELD_OUT = 1_000_000  # chunks from here on are never learnt from


@dataclasses.dataclass(frozen=True)
class Family:
    """A child with its parents, as bare text (`program.bare`).

    Attributes:
      slot: name of the slot that they fill.
      parents: what the child was made from, as many as a prompt shows.
      child: what a model is to write: below the definition's opening comments say what was changed,
        so that a model decides on that before it writes.
    """

    slot: str
    parents: tuple[str, ...]
    child: str


def make(
    folder: Path, chunks: Mapping[str, Sequence[int]], workers: int = 1
) -> Iterator[Sequence[Family]]:
    """Yields the families of chunks as they are made; those that a folder holds are read.

    Args:
      folder: where chunks are kept, `SLOT-CHUNK.jsonl` each.
      chunks: numbers of the chunks of each slot.
      workers: processes that make them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(slot, chunk) for slot, numbers in chunks.items() for chunk in numbers]
    arguments = [folder] * len(wanted), *zip(*wanted, strict=True)
    if workers == 1:
        yield from map(_chunk, *arguments)
        return
    spawning = multiprocessing.get_context("spawn")  # a fork would hang where JAX has threads
    with concurrent.futures.ProcessPoolExecutor(workers, spawning) as pool:
        yield from pool.map(_chunk, *arguments)


def families(slot: Slot, chunk: int) -> Iterator[Family]:
    """Yields the families of a chunk whose child is the slot's definition and nothing before.

    A reply goes on from the definition's opening, so that a function before it cannot be written.
    """
    seeds = programs.seeds(slot.name)
    for parents, proposal in survey_proposals(slot, seeds, CHUNK, chunk):
        if not proposal.source:
            continue
        before, opening, body = program.bare(proposal.source).partition(slot.opening)
        if "def " in before or "class " in before or endings.end(body + '"""', slot) is None:
            continue
        plan = "".join(f"    # {change}\n" for change in _changes(proposal.source))
        child = opening + plan + body.lstrip("\n")
        yield Family(slot.name, tuple(map(program.bare, parents)), child)


def _changes(source: str) -> Sequence[str]:
    """Returns the changes that the grammar notes in a program's docstring, a line each."""
    text = ast.get_docstring(ast.parse(source)) or ""
    _, *listed = text.partition("\n\nShapes:")[0].split("\n- ")
    return [" ".join(change.split()) for change in listed]


def _chunk(folder: Path, slot: str, chunk: int) -> list[Family]:
    path = folder / f"{slot}-{chunk}.jsonl"
    if not path.exists():
        lines = [json.dumps(dataclasses.asdict(family)) for family in families(SLOTS[slot], chunk)]
        new = path.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(new, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines if line]
    return [Family(family["slot"], tuple(family["parents"]), family["child"]) for family in told]
