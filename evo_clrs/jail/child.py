"""The child: confine itself, say so, run the program, reply, and be gone."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from evo_clrs.errors import Rejected
from evo_clrs.gates import artefacts
from evo_clrs.jail import frames
from evo_clrs.jail.confine import confine
from evo_clrs.jail.limits import Limits, amount
from evo_clrs.jail.request import decode_pairs, decode_slot
from evo_clrs.jail.trace import reason_of, trace
from evo_clrs.records import Size

# What the child needs besides its reply pipe: nothing.
_STANDARD_STREAMS = 3


def run(
    reply: int,
    request: Mapping[str, Any],
    readable: Sequence[str],
    entered: Sequence[str],
    blobs: Sequence[bytes],
) -> NoReturn:
    """Answers a request on the file descriptor `reply`; the process ends here.

    A request holds a program to trace (`source`), modules to verify (`modules`, whose code comes
    as `blobs`), or neither.

    The first frame it sends, `{"layers": [...]}`, is sent before the program runs, so it can be
    believed. The second one cannot: the program may have written it. A program is run only behind
    all the layers that the request demands.
    """
    try:
        os.setsid()
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # where memory runs out, this process goes first
        reply = _close_all_but(reply)
        limits = Limits(**request["limits"])
        layers = confine(limits, readable, entered, request["clean"], request["without"])
        reply_to(reply, request, blobs, limits, layers)
    finally:
        os._exit(0)


def reply_to(
    reply: int,
    request: Mapping[str, Any],
    blobs: Sequence[bytes],
    limits: Limits,
    layers: Sequence[str],
) -> None:
    """Tells the layers in force and, behind all that are demanded, answers the request."""
    _send(reply, frames.encode({"layers": layers}))
    behind_all = set(request.get("layers", ())) <= set(layers)
    if "source" in request and behind_all:
        _send(reply, _answer(request, limits))
    if "modules" in request and behind_all:
        _send(reply, _verify(request["modules"], blobs))


def _answer(request: Mapping[str, Any], limits: Limits) -> bytes:
    sizes: list[Size] = [decode_pairs(size) for size in request["sizes"]]
    try:
        traced = trace(decode_slot(request["slot"]), request["source"], sizes, limits.output_bytes)
        header = {
            "parameters": traced.parameters,
            "outputs": traced.outputs,
            "properties": traced.properties,
        }
        return frames.encode(header, [blob for pair in traced.artefacts for blob in pair])
    except MemoryError:
        reason = f"used more than {amount(limits.memory_bytes)} of memory"
    except frames.FrameError:
        reason = "its parameters are too many to list"
    except BaseException as error:
        reason = reason_of(error)
    return frames.encode({"error": reason})


def _verify(told: Sequence[Any], codes: Sequence[bytes]) -> bytes:
    """Looks at the modules of a graph; here no program has run, so the answer can be believed."""
    try:
        for (what, arguments, results), code in zip(told, codes, strict=True):
            artefacts.verify(artefacts.Module(what, code, tuple(arguments), tuple(results)))
    except BaseException as error:
        reason = error.reason if isinstance(error, Rejected) else reason_of(error)
        return frames.encode({"error": reason})
    return frames.encode({"verified": True})


def _send(reply: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(reply, view) :]


def _close_all_but(kept: int) -> int:
    """Closes every descriptor but this one; the standard streams lead nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(_STANDARD_STREAMS):
        os.dup2(nowhere, stream)
    os.dup2(kept, _STANDARD_STREAMS, inheritable=False)
    os.closerange(_STANDARD_STREAMS + 1, os.sysconf("SC_OPEN_MAX"))
    return _STANDARD_STREAMS
