"""What came out of the child, read as data from an enemy."""

from collections.abc import Mapping, Sequence
from typing import Any

from evo_clrs.errors import Rejected
from evo_clrs.jail import frames
from evo_clrs.records import Graph, Initialiser, Parameter, Size, SizedGraph
from evo_clrs.slots import Slot

_LONGEST_REASON = 400
_LONGEST_NAME = 300
_MOST_PARAMETERS = 10_000
_MOST_DIMENSIONS = 16
_LARGEST_DIMENSION = 1 << 31

_MALFORMED = "its reply is malformed"


def layers_of(reader: frames.Reader) -> tuple[str, ...] | None:
    """Returns the layers in force, from the frame sent before the program ran; None without it."""
    try:
        layers = reader.read(0).header["layers"]
    except (frames.FrameError, KeyError):
        return None
    told = isinstance(layers, list) and all(isinstance(layer, str) for layer in layers)
    return tuple(layers) if told else None


def graph_of(reader: frames.Reader, slot: Slot, sizes: Sequence[Size], limit: int) -> Graph:
    """Returns the graph in a reply.

    Only its form is checked here, and its shapes against the slot: what the artefacts say is for
    `gates.artefacts` to look at.

    Raises:
      Rejected: the reply says why there is none, or is not what a child of ours would send.
    """
    frame = _answer(reader, limit)
    try:
        return _graph(frame, slot, sizes)
    except (KeyError, TypeError, ValueError):
        raise Rejected("trace", _MALFORMED) from None


def check_verified(reader: frames.Reader) -> None:
    """Reads the reply of the child that verified a graph; raises Rejected where it found fault."""
    if _answer(reader, 0).header.get("verified") is not True:
        raise Rejected("trace", _MALFORMED)


def _answer(reader: frames.Reader, limit: int) -> frames.Frame:
    """Returns the one frame that is left; raises Rejected for none, for more, for an error."""
    if not reader.rest:
        raise Rejected("trace", "ended the interpreter without a result")
    try:
        frame = reader.read(limit)
    except frames.FrameError:
        raise Rejected("trace", _MALFORMED) from None
    if reader.rest:
        raise Rejected("trace", _MALFORMED)
    if "error" in frame.header:
        raise Rejected("trace", clean(frame.header["error"]))
    return frame


def clean(reason: Any) -> str:
    """Returns a reason as one printable line of bounded length."""
    text = reason if isinstance(reason, str) else _MALFORMED
    text = "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_REASON])
    return text.strip() or "no reason given"


def _graph(frame: frames.Frame, slot: Slot, sizes: Sequence[Size]) -> Graph:
    """Raises KeyError, TypeError or ValueError where the frame does not hold a graph."""
    parameters = tuple(_parameter(entry) for entry in _list(frame.header["parameters"]))
    outputs = _list(frame.header["outputs"])
    _demand(len(parameters) <= _MOST_PARAMETERS)
    _demand(len({parameter.name for parameter in parameters}) == len(parameters))
    _demand(len(outputs) == len(sizes) and len(frame.blobs) == 2 * len(sizes))
    coded = any(parameter.initialiser is None for parameter in parameters)
    _demand(all(bool(init) is coded for init in frame.blobs[::2]) and all(frame.blobs[1::2]))
    pairs = zip(frame.blobs[::2], frame.blobs[1::2], strict=True)
    entries = tuple(
        SizedGraph(size, init, apply, _outputs(shapes, slot, size))
        for size, shapes, (init, apply) in zip(sizes, outputs, pairs, strict=True)
    )
    return Graph(slot.name, parameters, entries, _properties(frame.header["properties"], slot))


def _parameter(entry: Any) -> Parameter:
    name, shape, dtype, initialiser = _list(entry)
    _demand(isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST_NAME)
    _demand(dtype == "float32")
    return Parameter(name, _shape(shape), dtype, _initialiser(initialiser))


def _initialiser(entry: Any) -> Initialiser | None:
    if entry is None:
        return None
    kind, numbers = _list(entry)
    return Initialiser(kind, tuple(map(_number, _list(numbers))))


def _number(entry: Any) -> float:
    """Returns a number as a float; whole ones may be too large to be one."""
    _demand(type(entry) in (int, float) and abs(entry) < 1 << 64)
    return float(entry)


def _outputs(shapes: Any, slot: Slot, size: Size) -> tuple[tuple[int, ...] | None, ...]:
    _demand(len(_list(shapes)) == len(slot.outputs))
    checked = []
    for tensor, entry in zip(slot.outputs, shapes, strict=True):
        shape = None if entry is None else _shape(entry)
        expected = tensor.at(size)
        if shape is None:
            _demand(tensor.optional)
        else:
            _demand(len(shape) == len(expected))
            _demand(all(want in (-1, have) for want, have in zip(expected, shape, strict=True)))
        checked.append(shape)
    return tuple(checked)


def _properties(answers: Any, slot: Slot) -> Mapping[str, bool]:
    _demand(isinstance(answers, dict) and set(answers) == set(slot.properties))
    _demand(all(isinstance(answer, bool) for answer in answers.values()))
    return {name: answers[name] for name in slot.properties}


def _shape(entry: Any) -> tuple[int, ...]:
    dimensions = _list(entry)
    _demand(len(dimensions) <= _MOST_DIMENSIONS)
    _demand(all(type(n) is int and 0 <= n <= _LARGEST_DIMENSION for n in dimensions))
    return tuple(dimensions)


def _list(entry: Any) -> list[Any]:
    _demand(isinstance(entry, list))
    return entry


def _demand(holds: bool) -> None:
    if not holds:
        raise ValueError(_MALFORMED)
