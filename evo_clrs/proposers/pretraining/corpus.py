"""The corpus of a small language model: children with the parents they were made from.

The grammar operator proposes them: parents are its own children of before, up to twelve
generations from the seeds, and now and then a seed. Every pair of parents has several children,
each by a single edit of one of them or with a part of the other: small steps are learnt faster than
leaps, and a search takes many. They are cut into chunks, each from its own seed, which are made
side by side and kept one by one, so that making a corpus can be broken off.
"""

import ast
import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evo_clrs import program, programs, randomness, records
from evo_clrs.proposers.grammar.proposer import Grammar, clean_text
from evo_clrs.slots import SLOTS, Slot

CHUNK = 40  # families
HELD_OUT = 1_000_000  # chunks from here on are never learnt from

_MUTANTS = 4  # children by one edit, of each parent of a family
_CROSSED = 1  # children with a part of the other, of each
_POOL = 12  # youngest children that may be parents
_SEEDS = 0.15  # of all parents
_DEEPEST = 12  # generations from a seed
_MOST_BYTES = 2_600  # of a parent's bare text; larger programs leave too little room in a prompt


@dataclasses.dataclass(frozen=True)
class Child:
    """What a model is to write.

    Attributes:
      source: bare text (`program.bare`).
      changes: what was changed, in the grammar's words, so that a model decides on that first.
    """

    source: str
    changes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Family:
    """Children with their parents.

    Attributes:
      slot: name of the slot that they fill.
      parents: what the children were made from, as many as a prompt shows, as bare text.
      children: no two of one identity.
    """

    slot: str
    parents: tuple[str, ...]
    children: tuple[Child, ...]


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
    """Yields the families of a chunk; those without children are left out."""
    seeds = [clean_text(source, slot) for source in programs.seeds(slot.name).values()]
    young: list[tuple[str, int]] = []  # with their generations
    for index in range(CHUNK):
        rng = randomness.generator(chunk, "corpus", index)
        parents = [
            rng.choice(young[-_POOL:])
            if young and rng.random() >= _SEEDS
            else (rng.choice(seeds), 0)
            for _ in range(2)
        ]
        texts = [text for text, _ in parents]
        children = _distinct(list(_bred(slot, texts, chunk, index)))
        if not children:
            continue
        generation = 1 + max(depth for _, depth in parents)
        heir = rng.choice(list(children))
        if generation < _DEEPEST and len(children[heir].source.encode()) <= _MOST_BYTES:
            young.append((heir, generation))
        shown = tuple(map(program.bare, texts))
        yield Family(slot.name, shown, tuple(children.values()))


def changes(source: str) -> tuple[str, ...]:
    """Returns the changes that the grammar notes in a program's docstring, a line each."""
    text = ast.get_docstring(ast.parse(source)) or ""
    _, *listed = text.partition("\n\nShapes:")[0].split("\n- ")
    return tuple(" ".join(change.split()) for change in listed)


def _bred(slot: Slot, texts: Sequence[str], chunk: int, index: int) -> Iterator[str]:
    """Yields children of parents; those of each in turn, since an edit is of the first one."""
    for turn, order in enumerate((texts, texts[::-1])):
        shown = tuple(records.Parent(str(n), text, {}) for n, text in enumerate(order))
        for operation, count in (("mutate", _MUTANTS), ("crossover", _CROSSED)):
            request = records.Request(
                index=2 * index + turn,
                round=0,
                parents=shown,
                targets={},
                temperatures=(1.0,) * count,
                operation=operation,
            )
            proposals = Grammar().propose(request, slot, "", chunk)
            yield from (proposal.source for proposal in proposals if proposal.source)


def _distinct(sources: Sequence[str]) -> Mapping[str, Child]:
    """Returns children by the source that the grammar wrote, the first of each identity."""
    found = {program.identity(source): source for source in reversed(sources)}
    return {source: Child(program.bare(source), changes(source)) for source in found.values()}


def _chunk(folder: Path, slot: str, chunk: int) -> list[Family]:
    path = folder / f"{slot}-{chunk}.jsonl"
    if not path.exists():
        lines = [json.dumps(dataclasses.asdict(family)) for family in families(SLOTS[slot], chunk)]
        new = path.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(new, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_read(json.loads(line)) for line in lines if line]


def _read(told: Mapping) -> Family:
    children = (Child(child["source"], tuple(child["changes"])) for child in told["children"])
    return Family(told["slot"], tuple(told["parents"]), tuple(children))
