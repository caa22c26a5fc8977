"""What problems share whose programs are traced in the jail and trained here."""

import contextlib
import hashlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax

from evo_clrs import program, programs
from evo_clrs.errors import UserError
from evo_clrs.gates.graph import GraphLimits

_GIB = 2.0**30


def graph_limits(max_gflops: float, max_memory: float, max_operations: int) -> GraphLimits:
    """Returns what a graph may cost: GFLOPs and GiB of a training pass, and operations."""
    return GraphLimits(
        flops=max_gflops * 1e9, peak_bytes=max_memory * _GIB, operations=max_operations
    )


def find_seeds(slot_name: str, names: Sequence[str]) -> Mapping[str, str]:
    """Returns the programs that a search starts from, from name to source text, in order.

    Args:
      slot_name: the slot.
      names: names of packaged programs or paths of files; none for the slot's usual seeds.

    Raises:
      UserError: a name is neither.
    """
    if not names:
        return programs.seeds(slot_name)
    if tuple(names) == ("none",):
        raise UserError(
            f"programs of slot {slot_name} are made from others: name some with --seeds, or leave "
            "it out for the usual ones"
        )
    packaged = programs.load(slot_name)
    found = {}
    for name in names:
        path = Path(name)
        if name in packaged:
            found[name] = packaged[name]
        elif path.is_file():
            found[path.stem] = path.read_text(encoding="utf-8", errors="replace")
        else:
            raise UserError(
                f"seed {name!r} is neither a file nor a program of slot {slot_name}; "
                f"there are: {', '.join(packaged)}"
            )
    return found


def known_as(seeds: Mapping[str, str]) -> str:
    """Returns the identities of seeds with commas, of the text where a seed does not parse."""

    def one(source: str) -> str:
        try:
            return program.identity(source)
        except ValueError:
            return hashlib.sha256(source.encode()).hexdigest()[:16]

    return ",".join(map(one, seeds.values()))


def over_trainings(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the means of metrics over trainings from different seeds.

    Where there are several with an `accuracy`, `accuracy_spread` is its standard deviation.
    """
    metrics = {name: statistics.fmean(r[name] for r in results) for name in results[0]}
    if len(results) > 1 and "accuracy" in results[0]:
        metrics["accuracy_spread"] = statistics.stdev(r["accuracy"] for r in results)
    return metrics


@contextlib.contextmanager
def forgetting() -> Iterator[None]:
    """Frees what JAX keeps of traced and compiled functions, of which each graph has its own.

    Without it a worker grew by 50 MB with every program it trained.
    """
    try:
        yield
    finally:
        jax.clear_caches()
