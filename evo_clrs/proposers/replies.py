"""Replies of language models as programs: fences, prose, edits, and what a continuation lacks.

A reply either goes on where a prompt ended (the opening of the slot's definition), or is an answer
of its own: prose with fenced blocks, of which one holds the program, or search/replace edits of a
program that the prompt showed. What cannot be read gives no program and one line that says why.
"""

import ast
import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence

from evo_clrs import program
from evo_clrs.proposers import endings, patches
from evo_clrs.records import Proposal, Request
from evo_clrs.slots import Slot

_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Read:
    """What was read from a reply.

    Attributes:
      source: the program; empty if the reply holds none.
      note: what had to be done, or why there is no program; empty for a plain reply.
    """

    source: str
    note: str = ""


def read(
    text: str, prompt: str, slot: Slot, shown: Sequence[str], cut: str = "", words: bool = False
) -> Read:
    """Reads the program of a reply.

    Args:
      text: the reply.
      prompt: what it replies to; if it ends with the slot's opening, the reply may go on with it.
      slot: what the program must define.
      shown: sources that edits may apply to, in order.
      cut: why the reply ends before its end, empty if it does not, e.g. `cut off at 512 tokens`.
      words: whether words are asked for in place of a program.
    """
    if words:
        return Read(text.strip(), cut)
    if patches.marked(text):
        return _edited(text, slot, _named_first(text, prompt, shown), cut)
    blocks = _FENCE.findall(text)
    defining = [block for block in blocks if _defines(block, slot)]
    continues = prompt.endswith(slot.opening)
    note = ""
    if continues:
        text = text.removeprefix("\n")  # the end of the opening's line
    if continues and text.lstrip("\n")[:1].isspace():
        source = slot.opening + endings.cut(text, slot)
    elif defining:
        source = defining[-1]
        if len(blocks) > 1:
            note = f"the last of {len(defining)} blocks with the definition, of {len(blocks)}"
    elif _defines(text, slot):
        source = endings.without_prose(text, slot)
    elif continues and (body := blocks[0] if blocks else text).strip():
        source = slot.opening + endings.cut(_indented(body), slot)
    elif blocks:
        return Read("", _why(f"no block defines `{slot.definition}`", cut))
    else:
        return Read("", _why("the reply holds no code" if text.strip() else "empty reply", cut))
    source = with_imports(source.strip("\n") + "\n", slot)
    if cut and not _parses(source):
        return Read("", _why("the reply does not end", cut))
    return Read(source, "; ".join(part for part in (note, cut) if part))


def proposal(
    text: str,
    prompt: str,
    request: Request,
    slot: Slot,
    shown: Sequence[str],
    cut: str = "",
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
    seconds: float = 0.0,
) -> Proposal:
    """Returns a reply as a proposal: its program, the reply itself, and what it took.

    Args: see `read`, and `records.Proposal`.
    """
    found = read(text, prompt, slot, shown, cut, words=request.operation == "principles")
    return Proposal(
        source=found.source,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        seconds=seconds,
        reply="" if text == found.source else text,
        note=found.note,
    )


def with_imports(source: str, slot: Slot) -> str:
    """Returns a program with the slot's imports that it uses and does not write.

    The prompt of the paper opens a definition below the place where imports stand, so what goes on
    there cannot hold them. A text that does not parse is returned as it is.
    """
    try:
        tree = program.parse(source)
    except ValueError:
        return source
    used, bound = set(), set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(name, ast.Load()):
                used.add(name)
            case ast.Name(name) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                bound.add(name)
            case ast.Import(aliases) | ast.ImportFrom(names=aliases):
                bound.update(alias.asname or alias.name for alias in aliases)
    lines = [
        f"import {module}" if module == name else f"import {module} as {name}"
        for module, name in sorted(slot.imports.items())
        if name in used - bound
    ]
    if not lines:
        return source
    return "\n".join(lines) + "\n\n\n" + source


def _edited(text: str, slot: Slot, shown: Sequence[str], cut: str) -> Read:
    """Applies edits to the programs shown, or to their bare text, which some prompts show."""
    try:
        edits = patches.read(text)
        known = [text for source in shown for text in (source, *_bare(source))]
        edited = patches.apply(edits, known)
    except ValueError as error:
        return Read("", _why(str(error), cut))
    return Read(with_imports(edited, slot), cut)


def _named_first(text: str, prompt: str, shown: Sequence[str]) -> Sequence[str]:
    """Returns the programs shown, before them the one that a reply goes on to name, if it does."""
    named = re.match(r" ?(\d{1,3})\b", text) if prompt.endswith(patches.OPENING) else None
    number = int(named[1]) if named else 0
    return [shown[number - 1], *shown] if 0 < number <= len(shown) else shown


def _bare(source: str) -> Iterator[str]:
    with contextlib.suppress(ValueError):  # it is no program
        yield program.bare(source)


def _defines(text: str, slot: Slot) -> bool:
    keyword = "class" if slot.kind == "class" else "def"
    return re.search(rf"^{keyword} {slot.definition}\b", text, re.MULTILINE) is not None


def _indented(body: str) -> str:
    """Returns the body of a definition indented, where a model began it at the margin."""
    first = next((line for line in body.splitlines() if line.strip()), "")
    if first[:1].isspace():
        return body
    return "".join(f"    {line}" if line.strip() else line for line in body.splitlines(True))


def _parses(source: str) -> bool:
    try:
        program.parse(source)
    except ValueError:
        return False
    return True


def _why(reason: str, cut: str) -> str:
    return f"{cut}: {reason}" if cut else reason
