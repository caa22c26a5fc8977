"""The loop over steps of message passing: as long as the batch needs, and light on memory.

`jax.lax.scan` runs as many steps as its arrays are long, which is the longest trajectory of a
pool; a batch may need fewer, and the steps that a batch does not need count for nothing. So the
loop here ends with the batch's own longest sample, a number known only when it runs.

Each sample's outputs come from its own last step. Decoding them at every step would be most of
the work of tasks with pointers to decode, so only states are kept, and one more step is run, each
sample from the state before its own last step; its features are what outputs are decoded from.
Where all samples end together that is the last step itself, and none is added.

The backward pass computes each step again from its state: states are small (per node), what a step
computes from them is not (per edge).
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

Tree = Any
# (parameters, given, state, index) -> (next state, emitted, features)
Step = Callable[[Tree, Tree, Tree, jax.Array], tuple[Tree, Tree, Tree]]


def unroll(
    step: Step,
    parameters: Tree,
    given: Tree,
    start: Tree,
    last: jax.Array,
    length: int,
    axis: str | None = None,
) -> tuple[Tree, Tree]:
    """Runs steps 0 to the largest of `last`; differentiable in the parameters alone.

    Under `jax.vmap` its loop must be as long for all that are mapped, or each step would select
    between all that is carried: it runs to the largest `last` of all, and what each of them gets
    is what it would get alone.

    Args:
      step: one step; all its arrays but the parameters' have the batch as their first axis. Its
        features must depend on the index through random draws alone, which are drawn anew for
        outputs.
      parameters: what gradients are wanted for, a tree of floating-point arrays.
      given: whatever else a step reads.
      start: the first state, a tree of floating-point arrays [B, ...].
      last: index of each sample's last step, int32 [B], below `length`.
      length: most steps that may be needed.
      axis: name of the axis that `jax.vmap` maps over, if it does.

    Returns:
      what steps emit, stacked: [length, B, ...], zeros from the first step not run on; and the
      features of each sample's last step.
    """

    loop = _Loop(step, length, axis, _Packing.of(start, last.shape[0]))

    @jax.custom_vjp
    def run(parameters: Tree, given: Tree, start: Tree, last: jax.Array) -> tuple[Tree, Tree]:
        return loop.forward(parameters, given, start, last, keep=False)[:2]

    def forward(
        parameters: Tree, given: Tree, start: Tree, last: jax.Array
    ) -> tuple[tuple[Tree, Tree], Tree]:
        emitted, features, states = loop.forward(parameters, given, start, last, keep=True)
        return (emitted, features), (parameters, given, last, states)

    def backward(kept: Tree, cotangents: tuple[Tree, Tree]) -> tuple[Tree, None, None, None]:
        return loop.backward(kept, cotangents), None, None, None

    run.defvjp(forward, backward)
    return run(parameters, given, start, last)


@dataclasses.dataclass(frozen=True)
class _Packing:
    """How arrays [..., B, *] lie in one, [..., B, D].

    Whatever is done with each array takes its time to compile, and a state has one for every hint:
    so the loop carries, keeps and selects them as one.

    Attributes:
      batch: B.
      structure: of the tree of arrays.
      shapes: of each array, [B, *].
      dtypes: of each array.
    """

    batch: int
    structure: Any
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...]

    @classmethod
    def of(cls, tree: Tree, batch: int) -> "_Packing":
        """Returns the packing of a tree of arrays [B, *], or of their shapes."""
        leaves, structure = jax.tree.flatten(tree)
        return cls(batch, structure, tuple(a.shape for a in leaves), tuple(a.dtype for a in leaves))

    @property
    def ends(self) -> list[int]:
        """Where each array ends within D."""
        return list(itertools.accumulate(math.prod(shape[1:]) for shape in self.shapes))

    def pack(self, tree: Tree) -> jax.Array:
        """Returns the arrays side by side."""
        if not self.shapes:
            return jnp.zeros((self.batch, 0))
        flat = [
            jnp.reshape(a, (*a.shape[: a.ndim - len(shape) + 1], -1))
            for a, shape in zip(jax.tree.leaves(tree), self.shapes, strict=True)
        ]
        return jnp.concatenate(flat, axis=-1)

    def rows(self, count: int) -> jax.Array:
        """Returns room for so many, zeros [count, B, D]."""
        dtype = jnp.result_type(*self.dtypes) if self.dtypes else float
        return jnp.zeros((count, self.batch, self.ends[-1] if self.shapes else 0), dtype)

    def unpack(self, packed: jax.Array) -> Tree:
        """Returns the arrays, each in its shape."""
        leaves = [
            jnp.reshape(packed[..., begin:end], (*packed.shape[:-1], *shape[1:])).astype(dtype)
            for shape, dtype, (begin, end) in zip(
                self.shapes, self.dtypes, itertools.pairwise([0, *self.ends]), strict=True
            )
        ]
        return jax.tree.unflatten(self.structure, leaves)


@dataclasses.dataclass(frozen=True)
class _Loop:
    """Both passes of a loop; see `unroll` for what it is made of."""

    step: Step
    length: int
    axis: str | None
    packing: _Packing

    def forward(
        self, parameters: Tree, given: Tree, start: Tree, last: jax.Array, keep: bool
    ) -> tuple[Tree, Tree, Any]:
        """Returns emitted, features, and, if states are to be kept, those, packed.

        The latter are what each step begins with, [length + 2, B, D], and what the added one does.
        What that step emits and where it leads is put behind all that counts.
        """
        steps, number, moment = _count(last, self.axis)
        shapes = jax.eval_shape(self.step, parameters, given, start, jnp.int32(0))
        packing, of_emitted = self.packing, _Packing.of(shapes[1], self.packing.batch)
        first = packing.pack(start)
        emitted = of_emitted.rows(self.length + 1)
        states = packing.rows(self.length + 2).at[0].set(first) if keep else ()

        def body(carry: Any) -> Any:
            index, state, ended, emitted, _, states = carry
            added = index == steps
            place = jnp.where(added, self.length, index)
            ended = _select(last == index, state, ended)
            state = jnp.where(added, ended, state)
            following, now, features = self.step(
                parameters, given, packing.unpack(state), moment(index)
            )
            emitted = emitted.at[place].set(of_emitted.pack(now))
            following = packing.pack(following)
            # Kept as what follows, and not as what this step began with: XLA's default code for
            # CPUs writes over that too early, and gradients are wrong (test_reference.py, bridges).
            states = states.at[index + 1].set(following) if keep else ()
            return index + 1, following, ended, emitted, features, states

        features = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes[2])
        carry = (jnp.int32(0), first, first, emitted, features, states)
        carry = jax.lax.while_loop(lambda carry: carry[0] < number, body, carry)
        _, _, ended, emitted, features, states = carry
        return of_emitted.unpack(emitted[: self.length]), features, (states, ended)

    def backward(self, kept: Tree, cotangents: tuple[Tree, Tree]) -> Tree:
        """Returns the gradients of the parameters from what the forward pass kept."""
        parameters, given, last, (states, ended) = kept
        packing = self.packing
        steps, number, moment = _count(last, self.axis)
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), cotangents[0])
        of_emitted = _Packing.of(shapes, packing.batch)
        all_emitted, of_features = of_emitted.pack(cotangents[0]), cotangents[1]

        def body(carry: Any) -> Any:
            index, of_following, of_ended, gradients = carry
            added, final = index == steps, index == number - 1
            state = packing.unpack(jnp.where(added, ended, states[index]))
            of_now = jnp.where(added, 0, all_emitted[jnp.minimum(index, self.length - 1)])
            _, pull = jax.vjp(lambda p, s: self.step(p, given, s, moment(index)), parameters, state)
            of_its_features = jax.tree.map(lambda a: a * final.astype(a.dtype), of_features)
            new, of_state = pull(
                (packing.unpack(of_following), of_emitted.unpack(of_now), of_its_features)
            )
            of_state = packing.pack(of_state)
            gradients += ravel_pytree(new)[0]
            # The added step stands for each sample's last one, and hands its cotangent to that.
            of_ended = jnp.where(added, of_state, of_ended)
            of_state = jnp.where(added, 0, _select(last == index, of_state + of_ended, of_state))
            return index - 1, of_state, of_ended, gradients

        nothing = jnp.zeros_like(states[0])
        # Added up as one vector: an addition for each parameter is as much to compile as a layer.
        gradients, apart = ravel_pytree(jax.tree.map(jnp.zeros_like, parameters))
        carry = (number - 1, nothing, nothing, gradients)
        return apart(jax.lax.while_loop(lambda carry: carry[0] >= 0, body, carry)[-1])


def _count(
    last: jax.Array, axis: str | None
) -> tuple[jax.Array, jax.Array, Callable[[jax.Array], jax.Array]]:
    """Returns how many steps emit, how many are run, and what a step is told as its index.

    The numbers are those of all that are mapped, if there is an axis. The added step draws what it
    would draw if its batch were alone, so it is told the index that it would have then.
    """
    own = jnp.max(last) + 1
    added = jnp.any(last != own - 1)
    if axis is None:
        return own, own + added, lambda index: index
    steps = jax.lax.pmax(own, axis)
    uneven = jax.lax.pmax(jnp.any(last != steps - 1).astype(int), axis)
    return steps, steps + uneven, lambda index: jnp.where(index == steps, own - 1 + added, index)


def _select(these: jax.Array, chosen: jax.Array, others: jax.Array) -> jax.Array:
    """Returns these samples, a mask [B], from `chosen` [B, D] and the rest from `others`."""
    return jnp.where(these[:, None], chosen, others)
