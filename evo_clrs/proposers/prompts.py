"""Requests as text, for a language model to answer.

Requests to vary have the few-shot prompt of EvoPrompting: each parent stands under a docstring with
its metrics; last comes the same docstring with the targets and the opening of the definition, for
the model to continue. Requests to mutate, cross over or draw at random are the same with a line of
comment that says so. Requests to improve are GENIUS's: a persona, the options with their numbers,
and every earlier design with its accuracy. Requests for principles are LAPT's: the best designs of
a source, and the form that the answer must have, which `strategies.lapt` reads.

References: Chen, Dohan, So, "EvoPrompting: Language Models for Code-Level Neural Architecture
Search", NeurIPS 2023, https://arxiv.org/abs/2302.14838; Zheng et al., "Can GPT-4 Perform Neural
Architecture Search?", 2023, https://arxiv.org/abs/2304.10970; Zhou et al., "Design Principle
Transfer in Neural Architecture Search via Large Language Models", AAAI 2025,
https://arxiv.org/abs/2408.11330.
"""

import functools
from collections.abc import Mapping, Sequence

from evo_clrs.records import Parent, Request
from evo_clrs.slots import Slot
from evo_clrs.spaces import Space

# The words of a few-shot prompt where the request has no instruction of its own.
TASKS: Mapping[str, str] = {
    "vary": "",
    "mutate": "Make one small change to the first program.",
    "crossover": "Combine the programs into one.",
    "random": "Write any program of this kind, drawn at random.",
}

IMPROVE = """\
You are an expert in neural architecture search. Suggest designs that reach the best validation \
accuracy; each one that you suggest is trained, and you are told its accuracy.

{about}
{options}
{history}
{instruction}Suggest the next design, better than all so far. Answer with its code and nothing \
else; it begins:

{opening}"""

NO_HISTORY = "No design was trained yet.\n"

PRINCIPLES = """\
You are an expert in neural architecture search. Learn from good designs which principles make \
them good.

{about}
{options}
These are good designs with their validation accuracies, best first.

{history}
{instruction}State in a few sentences which options help the accuracy at which place, which harm \
it, and why. Then end with the options that a search should keep, one line for each place in this \
form:

{form}
"""


def build(request: Request, slot: Slot) -> str:
    """Returns the prompt of a request.

    All but those for principles end with the opening of the slot's definition. An instruction
    stands first in few-shot prompts, as comment lines; EvoPrompting has none.
    """
    match request.operation:
        case "improve":
            return _fill(IMPROVE, request, slot, opening=slot.opening)
        case "principles":
            return _fill(PRINCIPLES, request, slot, form=_form(slot.space))
    return _few_shot(request, slot)


def header(metrics: Mapping[str, float]) -> str:
    """Returns the docstring line that tells metrics as a dict of strings.

    Counts (`num_...`) are whole, all else has the three decimals that targets are rounded to.
    """
    told = {
        name: f"{value:.0f}" if name.startswith("num_") else f"{value:.3f}"
        for name, value in metrics.items()
    }
    return f'"""Metrics: {told}"""\n'


def _few_shot(request: Request, slot: Slot) -> str:
    plain = request.operation == "vary"
    parts = []
    if slot.space is not None and not plain:
        parts.append(_comment(slot.about))
    parts.append(_comment(request.instruction or TASKS[request.operation]))
    if slot.space is not None and request.allowed:
        names = tuple(place.name for place in slot.space.places)
        parts.append(_comment(_kept(names, request.allowed)))
    for parent in request.parents:
        parts.append(f"{header(parent.metrics)}{parent.source.strip()}\n\n\n")
    if plain or request.targets:
        parts.append(header(request.targets))
    parts.append(slot.opening)
    return "".join(parts)


def _fill(template: str, request: Request, slot: Slot, **fields: str) -> str:
    return template.format(
        about=slot.about,
        options="" if slot.space is None else _options(slot.space),
        history=_history(request.parents),
        instruction=f"{request.instruction.strip()}\n\n" if request.instruction else "",
        **fields,
    )


def _history(parents: Sequence[Parent]) -> str:
    """Returns every design that has an accuracy under a line with its number and accuracy."""
    scored = [parent for parent in parents if "val_accuracy" in parent.metrics]
    shown = [
        f"Design {number}, validation accuracy {parent.metrics['val_accuracy']:.2%}:\n\n"
        f"{parent.source.strip()}\n"
        for number, parent in enumerate(scored, 1)
    ]
    return "\n".join(shown) or NO_HISTORY


def _options(space: Space) -> str:
    """Returns the places of a space with their numbered options, those with equal ones together."""
    places: dict[tuple[str, ...], list[str]] = {}
    for place in space.places:
        places.setdefault(place.options, []).append(place.name)
    lines = [
        f"Options at {', '.join(names)}:\n"
        + "".join(f"  {number}: {option}\n" for number, option in enumerate(options))
        for options, names in places.items()
    ]
    return "\n" + "".join(lines)


def _form(space: Space | None) -> str:
    """Returns the lines that an answer on principles ends with, options left open."""
    places = () if space is None else space.places
    return "\n".join(f"{place.name}: option, option" for place in places)


@functools.lru_cache(maxsize=64)
def _kept(names: tuple[str, ...], allowed: tuple[tuple[str, ...], ...]) -> str:
    lines = [f"{name}: {', '.join(kept)}" for name, kept in zip(names, allowed, strict=True)]
    return "Use no other options than these.\n" + "\n".join(lines)


@functools.lru_cache(maxsize=256)
def _comment(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
