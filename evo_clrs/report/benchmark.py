"""Engine against reference, and seeds together, as tables with ratios and their spread."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from evo_clrs.problems.clrs.benchmark import Measured, MeasuredSeeds

_MIB = 2.0**20


def summary(measured: Measured) -> dict[str, Any]:
    """Returns medians and ratios of one task; a ratio above 1 speaks for the engine."""
    first = [theirs / ours for ours, theirs in measured.first_step]
    step = [theirs / ours for ours, theirs in measured.step]
    ours, theirs = measured.temporary_bytes
    return {
        "task": measured.task,
        "first_step_seconds": [_median(measured.first_step, side) for side in (0, 1)],
        "first_step_ratio": statistics.median(first),
        "first_step_ratio_range": [min(first), max(first)],
        "steps_per_second": [1 / _median(measured.step, side) for side in (0, 1)],
        "step_ratio": statistics.median(step),
        "step_ratio_range": [min(step), max(step)],
        "temporary_mib": [ours / _MIB, theirs / _MIB],
        "memory_ratio": theirs / ours,
    }


def geometric_means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Returns the geometric mean of each ratio over tasks."""
    names = ("first_step_ratio", "step_ratio", "memory_ratio")
    return {name: math.exp(statistics.fmean(math.log(row[name]) for row in rows)) for name in names}


def markdown(rows: Sequence[dict[str, Any]], caption: str) -> str:
    """Returns the tasks as a table, engine and reference side by side."""
    lines = [
        caption,
        "",
        "| task | first step, s | ratio | steps per s | ratio | temporary memory, MiB | ratio |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        first, rate, memory = (
            row[name] for name in ("first_step_seconds", "steps_per_second", "temporary_mib")
        )
        lines.append(
            f"| {row['task']} | {first[0]:.1f} / {first[1]:.1f} "
            f"| {_ratio(row, 'first_step_ratio')} | {rate[0]:.2f} / {rate[1]:.2f} "
            f"| {_ratio(row, 'step_ratio')} | {memory[0]:.0f} / {memory[1]:.0f} "
            f"| {row['memory_ratio']:.1f} |"
        )
    means = geometric_means(rows)
    lines.append(
        f"| geometric mean | | {means['first_step_ratio']:.2f} | | {means['step_ratio']:.2f} | "
        f"| {means['memory_ratio']:.1f} |"
    )
    return "\n".join(lines) + "\n"


def seeds_summary(measured: MeasuredSeeds) -> dict[str, Any]:
    """Returns medians and the gain of one task; above 1, training seeds together pays."""
    gain = [alone / together for together, alone in measured.step]
    together, alone = measured.temporary_bytes
    return {
        "task": measured.task,
        "seeds": measured.seeds,
        "first_step_seconds": list(measured.first_step),
        "seed_steps_per_second": [measured.seeds / _median(measured.step, i) for i in (0, 1)],
        "gain": statistics.median(gain),
        "gain_range": [min(gain), max(gain)],
        "temporary_mib": [together / _MIB, alone / _MIB],
    }


def seeds_markdown(rows: Sequence[dict[str, Any]], caption: str) -> str:
    """Returns the tasks as a table, seeds together and one after the other side by side."""
    lines = [
        caption,
        "",
        "| task | seeds | first step, s | steps x seeds per s | gain | temporary memory, MiB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        first, rate, memory = (
            row[name] for name in ("first_step_seconds", "seed_steps_per_second", "temporary_mib")
        )
        lines.append(
            f"| {row['task']} | {row['seeds']} | {first[0]:.1f} / {first[1]:.1f} "
            f"| {rate[0]:.1f} / {rate[1]:.1f} | {_ratio(row, 'gain')} "
            f"| {memory[0]:.1f} / {memory[1]:.1f} |"
        )
    mean = math.exp(statistics.fmean(math.log(row["gain"]) for row in rows))
    lines.append(f"| geometric mean | | | | {mean:.2f} | |")
    return "\n".join(lines) + "\n"


def _ratio(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_range"]
    return f"{row[name]:.2f} ({low:.2f} to {high:.2f})"


def _median(pairs: Sequence[tuple[float, float]], side: int) -> float:
    return statistics.median(pair[side] for pair in pairs)
