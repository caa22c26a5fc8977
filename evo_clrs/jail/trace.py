"""From source to graph, inside the child: run the program, fill the slot, export its functions."""

import builtins
import contextlib
import dataclasses
import re
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
from jax import export

from evo_clrs import linear
from evo_clrs.initialisers import Recorder
from evo_clrs.jail import jaxprs
from evo_clrs.jail.limits import amount
from evo_clrs.records import Initialiser, Size, seeds_at
from evo_clrs.slots import Slot

PLATFORMS = ("cpu", "cuda", "tpu")

_FILE = "<program>"
_LONGEST_REASON = 300
_KEY = jax.ShapeDtypeStruct((2,), jnp.uint32)


_Drawn = tuple[Initialiser | None, ...]  # for each parameter, in order


class BadProgram(Exception):
    """The program does not fill its slot; the message is the reason for a person."""


class _Dependent(Exception):
    """An initialiser reads a parameter that is drawn by description."""


@dataclasses.dataclass(frozen=True)
class Traced:
    """A traced program.

    Attributes:
      parameters: (name, shape, dtype, initialiser) of each, in order; an initialiser is a kind and
        its numbers, or None where only `init` tells.
      outputs: for each size the shape of each output, None where an optional one is absent.
      properties: static answers of the program.
      artefacts: for each size init and apply, serialised; init empty if it has nothing to return.
    """

    parameters: tuple[tuple[Any, ...], ...]
    outputs: tuple[tuple[tuple[int, ...] | None, ...], ...]
    properties: dict[str, bool]
    artefacts: tuple[tuple[bytes, bytes], ...]


def trace(slot: Slot, source: str, sizes: Sequence[Size], output_bytes: int) -> Traced:
    """Runs a program and exports what it puts into the slot, once per size.

    Raises:
      BadProgram: it does not fill the slot.
      Exception: whatever the program raises itself; `reason_of` puts it into words.
    """
    definition = _define(slot, source)
    properties: dict[str, bool] = {}
    functions = [_transform(slot, definition, size, properties) for size in sizes]
    trees, drawn = _parameters(slot, definition, sizes, properties)
    named = [_named(tree) for tree in trees]
    for size, other in zip(sizes, named, strict=True):
        _check_same(named[0], other, sizes[0], size)
    drawn, inits = _export_inits(slot, definition, sizes, drawn)
    outputs, artefacts, total = [], [], 0
    for function, tree, size, init in zip(functions, trees, sizes, inits, strict=True):
        apply, shapes = _export_apply(slot, function, tree, size)
        outputs.append(shapes)
        artefacts.append((init, apply))
        total += len(init) + len(apply)
        if total > output_bytes:
            raise BadProgram(f"its graph takes more than {amount(output_bytes)}")
    parameters = tuple(
        (name, leaf.shape, leaf.dtype.name, how and (how.kind, how.numbers))
        for (name, leaf), how in zip(named[0].items(), drawn, strict=True)
    )
    return Traced(parameters, tuple(outputs), properties, tuple(artefacts))


def reason_of(error: BaseException) -> str:
    """Returns one line for a person: the program's line, the error, and no path of the machine."""
    if isinstance(error, BadProgram):
        return _one_line(str(error))
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == _FILE else None
    trail = error.__traceback__
    while trail is not None:
        if trail.tb_frame.f_code.co_filename == _FILE:
            line = trail.tb_lineno
        trail = trail.tb_next
    message = _first_line(error.msg if isinstance(error, SyntaxError) else str(error))
    words = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return _one_line(f"line {line}: {words}" if line else words)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _one_line(text: str) -> str:
    without_paths = re.sub(r"(?<![\w.])(?:/[\w.+@-]+)+/([\w.+@-]+)", r"\1", _first_line(text))
    printable = "".join(letter for letter in without_paths if letter.isprintable())
    return printable if len(printable) <= _LONGEST_REASON else printable[:_LONGEST_REASON] + "..."


def _define(slot: Slot, source: str) -> Callable[..., Any]:
    """Runs the source in a module of its own and returns what the slot asks for."""
    module = types.ModuleType("program")
    vars(module)["__builtins__"] = builtins
    sys.modules["program"] = module  # where dataclasses look their module up
    exec(compile(source, _FILE, "exec", dont_inherit=True), vars(module))
    definition = vars(module).get(slot.definition)
    if definition is None:
        raise BadProgram(f"does not define {slot.definition}")
    if slot.kind == "class" and not isinstance(definition, type):
        raise BadProgram(f"{slot.definition} is not a class")
    if slot.kind == "class" and not issubclass(definition, hk.Module):
        raise BadProgram(f"{slot.definition} does not extend {slot.base}")
    if not callable(definition):
        raise BadProgram(f"{slot.definition} is not a function")
    return definition


def _transform(
    slot: Slot,
    definition: Callable[..., Any],
    size: Size,
    properties: dict[str, bool],
    recorder: Recorder | None = None,
) -> hk.TransformedWithState:
    """Wraps the definition into a pure function; fills `properties` when that is traced.

    With a recorder, its parameters are for `init` to look at only.
    """
    dimensions = dict(size)
    constants = {name: dimensions[symbol] for name, symbol in slot.constants}
    call_constants = {name: dimensions[symbol] for name, symbol in slot.call_constants}

    def forward(*arguments: jax.Array) -> Any:
        inputs, factored = linear.inputs_of(slot, arguments)
        recording = recorder.recording() if recorder else contextlib.nullcontext()
        with recording, linear.through_channels(factored):
            if slot.kind != "class":
                return definition(*inputs, **constants)
            instance = definition(**constants)
            for name in slot.properties:
                properties.setdefault(name, _yes_or_no(instance, name))
            return instance(*inputs, **call_constants)

    return hk.transform_with_state(forward)


def _yes_or_no(instance: Any, name: str) -> bool:
    answer = getattr(instance, name, False)
    if not isinstance(answer, bool):
        raise BadProgram(f"property {name} is {type(answer).__name__}, expected True or False")
    return answer


def _arguments(slot: Slot, size: Size) -> tuple[jax.ShapeDtypeStruct, ...]:
    return tuple(jax.ShapeDtypeStruct(t.at(size), jnp.float32) for t in slot.arguments)


def _parameters(
    slot: Slot, definition: Callable[..., Any], sizes: Sequence[Size], properties: dict[str, bool]
) -> tuple[list[Any], _Drawn]:
    """Returns the trees of its parameters' shapes, one for each size, and how they are drawn.

    Refuses Haiku state.
    """
    trees, drawn = [], set()
    for size in sizes:
        recorder = Recorder()
        function = _transform(slot, definition, size, properties, recorder)
        found: list[Initialiser | None] = []

        def init(*given: Any, function: Any = function, found: Any = found, to: Any = recorder):
            parameters, state = function.init(*given)
            found[:] = map(to.of, jax.tree_util.tree_leaves(parameters))
            return parameters, state

        parameters, state = jax.eval_shape(init, _KEY, *_arguments(slot, size))
        if jax.tree_util.tree_leaves(state):
            names = sorted(f"{module}/{name}" for module in state for name in state[module])
            raise BadProgram(f"keeps Haiku state ({', '.join(names)}): slots are stateless")
        for name, leaf in _named(parameters).items():
            if leaf.dtype != jnp.float32:
                raise BadProgram(f"parameter {name} is {leaf.dtype.name}, expected float32")
        trees.append(parameters)
        # Where one did not become a parameter as it was, its value has been looked at.
        plain = sum(how is not None for how in found) == len(recorder.made)
        drawn.add(tuple(found) if plain else ())
    same = drawn.pop() if len(drawn) == 1 else ()
    return trees, same or (None,) * len(jax.tree_util.tree_leaves(trees[0]))


def _named(tree: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the leaves of a tree of parameters by name, in the order of its leaves."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(str(step.key) for step in path): leaf for path, leaf in leaves}


def _check_same(
    first: dict[str, jax.ShapeDtypeStruct],
    other: dict[str, jax.ShapeDtypeStruct],
    first_size: Size,
    other_size: Size,
) -> None:
    here, there = _differing(first_size, other_size), _differing(other_size, first_size)
    rule = "parameters must not depend on the size"
    for name in sorted(first.keys() ^ other.keys()):
        present, absent = (here, there) if name in first else (there, here)
        raise BadProgram(f"parameter {name} exists at {present} but not at {absent}: {rule}")
    for name, leaf in first.items():
        if leaf.shape != other[name].shape:
            raise BadProgram(
                f"parameter {name} has shape {leaf.shape} at {here} "
                f"but {other[name].shape} at {there}: {rule}"
            )


def _differing(size: Size, other: Size) -> str:
    """Names the dimensions of a size that differ from those of another, e.g. `N=4`."""
    theirs = dict(other)
    return ", ".join(f"{name}={value}" for name, value in size if theirs.get(name) != value)


def _export_inits(
    slot: Slot, definition: Callable[..., Any], sizes: Sequence[Size], drawn: _Drawn
) -> tuple[_Drawn, list[bytes]]:
    """Returns how parameters are drawn, and for each size init of the others as an export.

    Where what another initialiser returns depends on a parameter that could be described, none is.
    """
    if None not in drawn:
        return drawn, [b""] * len(sizes)
    known: dict[str | None, tuple[bytes, Any]] = {}
    try:
        return drawn, [_export_init(slot, definition, size, drawn, known) for size in sizes]
    except _Dependent:
        none = (None,) * len(drawn)
        return none, [_export_init(slot, definition, size, none, known) for size in sizes]


def _export_init(
    slot: Slot,
    definition: Callable[..., Any],
    size: Size,
    drawn: _Drawn,
    known: dict[str | None, tuple[bytes, Any]],
) -> bytes:
    """Returns init, of the parameters that are not drawn by description, as a serialised export.

    Initialisers rarely depend on the size but take most of the time (they draw random numbers):
    where dropping dead code leaves the same function as before, so does its export.

    Raises:
      _Dependent: it reads a parameter with a description.
    """
    recorder = Recorder() if any(drawn) else None
    function = _transform(slot, definition, size, {}, recorder)
    inputs = _arguments(slot, size)

    def whole(key: jax.Array) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        zeros = [jnp.zeros(spec.shape, spec.dtype) for spec in inputs]
        leaves = jax.tree_util.tree_leaves(function.init(key, *zeros)[0])
        rest = tuple(leaf for leaf, how in zip(leaves, drawn, strict=True) if how is None)
        return rest, recorder.made if recorder else ()

    def init(key: jax.Array) -> tuple[jax.Array, ...]:
        return whole(key)[0]

    if recorder and jaxprs.depends(_traced(jax.jit(whole), _KEY).jaxpr, len(recorder.made)):
        raise _Dependent
    jitted = jax.jit(init)
    closed = _traced(jitted, _KEY)
    listing = jaxprs.listing(closed)
    if listing is None or listing not in known:
        serialised = bytes(export.export(jitted, platforms=PLATFORMS)(_KEY).serialize())
        known[listing] = serialised, closed  # kept alive, so that listings can be compared
    return known[listing][0]


def _export_apply(
    slot: Slot, function: hk.TransformedWithState, tree: Any, size: Size
) -> tuple[bytes, tuple[tuple[int, ...] | None, ...]]:
    """Returns apply as a serialised export with its VJP, and the shapes of the outputs.

    At a size for several seeds together it is mapped over them.
    """
    leaves, structure = jax.tree_util.tree_flatten(tree)
    shapes: list[tuple[int, ...] | None] = []

    def apply(
        parameters: tuple[jax.Array, ...], key: jax.Array, arrays: tuple[jax.Array, ...]
    ) -> tuple[jax.Array, ...]:
        filled = jax.tree_util.tree_unflatten(structure, parameters)
        returned, _ = function.apply(filled, {}, key, *arrays)
        outputs = _check_outputs(slot, returned, size)
        shapes[:] = [None if output is None else output.shape for output in outputs]
        return tuple(output for output in outputs if output is not None)

    arguments, seeds = (tuple(leaves), _KEY, _arguments(slot, size)), seeds_at(size)
    if seeds is not None:
        arguments = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((seeds, *leaf.shape), leaf.dtype), arguments
        )
    jitted = jax.jit(apply if seeds is None else jax.vmap(apply))
    _traced(jitted, *arguments)
    exported = export.export(jitted, platforms=PLATFORMS)(*arguments)
    return bytes(exported.serialize(vjp_order=1)), tuple(shapes)


def _traced(jitted: Any, *arguments: Any) -> Any:
    """Returns the function as a jaxpr; raises BadProgram where it reaches out of the graph."""
    closed = jitted.trace(*arguments).jaxpr
    outside = jaxprs.called_back(closed.jaxpr)
    if outside is not None:
        raise BadProgram(f"uses {outside}: a graph cannot reach out of itself")
    return closed


def _check_outputs(slot: Slot, returned: Any, size: Size) -> tuple[jax.Array | None, ...]:
    """Returns the outputs as a tuple; raises BadProgram where they are not what the slot says."""
    names = ", ".join(tensor.name for tensor in slot.outputs)
    outputs = (returned,) if len(slot.outputs) == 1 else returned
    if not isinstance(outputs, tuple | list):
        raise BadProgram(f"returned {type(outputs).__name__}, expected ({names})")
    if len(outputs) != len(slot.outputs):
        raise BadProgram(f"returned {len(outputs)} values, expected ({names})")
    for tensor, output in zip(slot.outputs, outputs, strict=True):
        if output is None and tensor.optional:
            continue
        if not hasattr(output, "shape") or not hasattr(output, "dtype"):
            kind = type(output).__name__
            raise BadProgram(f"returned {tensor.name} as {kind}, expected an array")
        expected = tensor.at(size)
        fits = len(output.shape) == len(expected) and all(
            want in (-1, have) for want, have in zip(expected, output.shape, strict=True)
        )
        if not fits or 0 in output.shape:
            wanted = "(" + ", ".join("any" if want == -1 else str(want) for want in expected) + ")"
            raise BadProgram(
                f"returned {tensor.name} of shape {tuple(output.shape)}, expected {wanted}"
            )
        if output.dtype != jnp.float32:
            raise BadProgram(f"returned {tensor.name} of type {output.dtype}, expected float32")
    return tuple(outputs)
