"""Requests as text: the few-shot prompt of EvoPrompting.

Each parent stands under a docstring with its metrics; last comes the same docstring with the
targets and the opening of the definition, for a language model to continue.

References: Chen, Dohan, So, "EvoPrompting: Language Models for Code-Level Neural Architecture
Search", NeurIPS 2023, https://arxiv.org/abs/2302.14838.
"""

from collections.abc import Mapping

from evo_clrs.records import Request
from evo_clrs.slots import Slot


def build(request: Request, slot: Slot) -> str:
    """Returns the prompt of a request, ending with the opening of the slot's definition.

    An instruction, where the request has one, stands first as comment lines; the paper has none.
    """
    parts = [f"# {line}".rstrip() + "\n" for line in request.instruction.splitlines()]
    for parent in request.parents:
        parts.append(f"{header(parent.metrics)}{parent.source.strip()}\n\n\n")
    parts.append(f"{header(request.targets)}{slot.opening}")
    return "".join(parts)


def header(metrics: Mapping[str, float]) -> str:
    """Returns the docstring line that tells metrics as a dict of strings.

    Counts (`num_...`) are whole, all else has the three decimals that targets are rounded to.
    """
    told = {
        name: f"{value:.0f}" if name.startswith("num_") else f"{value:.3f}"
        for name, value in metrics.items()
    }
    return f'"""Metrics: {told}"""\n'
