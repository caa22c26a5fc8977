"""The warm process: imports once what every program needs, then forks a keeper per request.

It is started by exec with an environment of its own, holds no key, data or label, and starts no
JAX backend: it has one thread, so that forking it is safe.
"""

import gc
import os
import signal
import socket
import sys
import time
from typing import NoReturn

_REQUEST_LIMIT = 1 << 30  # bytes, those of a graph to verify
_CONTROL = 0  # it comes as the standard input


def main() -> None:
    """Serves requests from the socket that is its standard input, until that is closed."""
    control = _take_control()
    from evo_clrs.jail import frames
    from evo_clrs.jail.confine import is_clean_environment

    clean = is_clean_environment()  # libraries add to it while they are imported
    try:
        started = time.monotonic()
        readable = _prepare()
    except BaseException as error:
        control.sendall(frames.encode({"error": f"{type(error).__name__}: {error}"}))
        return
    control.sendall(frames.encode({"pid": os.getpid(), "seconds": time.monotonic() - started}))
    with control.makefile("rb", buffering=0) as stream:

        def read_exactly(length: int) -> bytes:
            parts = []
            while length:
                part = stream.read(length)
                if not part:
                    break
                parts.append(part)
                length -= len(part)
            return b"".join(parts)

        while True:
            try:
                request = frames.read(read_exactly, _REQUEST_LIMIT)
            except (frames.FrameError, OSError):
                return  # the parent is gone
            pid = os.fork()
            if pid == 0:
                _keep(control, {**request.header, "clean": clean}, readable, request.blobs)
            del request  # the next child is to find nothing of this program here
            _, status = os.waitpid(pid, 0)
            if status:
                control.sendall(frames.encode({"lost": os.waitstatus_to_exitcode(status)}))


def _keep(
    control: socket.socket,
    request: dict,
    readable: tuple[str, ...],
    blobs: tuple[bytes, ...],
) -> NoReturn:
    code = 1
    try:
        from evo_clrs.jail import keeper

        keeper.keep(control, request, readable, blobs)
        code = 0
    finally:
        os._exit(code)


def _take_control() -> socket.socket:
    """Moves the socket away from the standard input, where nobody shall read it by mistake."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    control = socket.socket(fileno=os.dup(_CONTROL))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, _CONTROL)
    os.close(nowhere)
    return control


def _prepare() -> tuple[str, ...]:
    """Imports everything; returns what the guest may read."""
    preload()
    from evo_clrs.jail import confine, keeper  # noqa: F401

    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("the warm process has threads: it cannot be forked safely")
    gc.collect()
    gc.freeze()  # children share these pages as long as nobody counts their references
    return confine.readable_paths()


def preload() -> None:
    """Imports what programs, tracing and verifying need."""
    import haiku
    import jax
    import jax.numpy as jnp
    import numpy  # noqa: F401

    # JAX imports these while it exports, when files may be out of reach.
    from jaxlib.mlir.dialects import builtin, mhlo  # noqa: F401

    from evo_clrs import clrs_library  # noqa: F401
    from evo_clrs.gates import artefacts  # noqa: F401

    # Traces once what most programs use, so that a child finds it in JAX's caches.
    layer = haiku.transform(lambda x: haiku.LayerNorm(-1, True, True)(haiku.Linear(2)(x)))
    key = jax.ShapeDtypeStruct((2,), jnp.uint32)
    jax.eval_shape(layer.init, key, jax.ShapeDtypeStruct((1, 2), jnp.float32))
    if "tensorflow" in sys.modules:
        raise RuntimeError("the warm process imported TensorFlow")
