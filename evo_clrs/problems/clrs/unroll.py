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

    loop = _Loop(step, length, axis)

    @jax.custom_vjp
    def run(parameters: Tree, given: Tree, start: Tree, last: jax.Array) -> tuple[Tree, Tree]:
        return loop.forward(parameters, given, start, last, keep=False)[:2]

    def forward(
        parameters: Tree, given: Tree, start: Tree, last: jax.Array
    ) -> tuple[tuple[Tree, Tree], Tree]:
        emitted, features, states, ended = loop.forward(parameters, given, start, last, keep=True)
        return (emitted, features), (parameters, given, last, states, ended)

    def backward(kept: Tree, cotangents: tuple[Tree, Tree]) -> tuple[Tree, None, None, None]:
        return loop.backward(kept, cotangents), None, None, None

    run.defvjp(forward, backward)
    return run(parameters, given, start, last)


@dataclasses.dataclass(frozen=True)
class _Loop:
    """Both passes of a loop; see `unroll` for what it is made of."""

    step: Step
    length: int
    axis: str | None

    def forward(
        self, parameters: Tree, given: Tree, start: Tree, last: jax.Array, keep: bool
    ) -> tuple[Tree, Tree, Tree, Tree]:
        """Returns emitted, features, all states if they are to be kept, and the last states."""
        steps, number, moment = _count(last, self.axis)
        shapes = jax.eval_shape(self.step, parameters, given, start, jnp.int32(0))
        emitted, features = (_zeros(tree) for tree in (_stacked(shapes[1], self.length), shapes[2]))
        states = _zeros(_stacked(start, self.length)) if keep else ()

        def body(carry: Any) -> Any:
            index, state, ended, emitted, _, states = carry
            added = index == steps
            ended = _select(last == index, state, ended)
            state = jax.lax.cond(added, lambda: ended, lambda: state)
            following, now, features = self.step(parameters, given, state, moment(index))
            place = jnp.minimum(index, self.length - 1)
            emitted = _put(emitted, place, now, added)
            states = _put(states, place, state, added) if keep else ()
            return index + 1, following, ended, emitted, features, states

        carry = (jnp.int32(0), start, start, emitted, features, states)
        carry = jax.lax.while_loop(lambda carry: carry[0] < number, body, carry)
        _, _, ended, emitted, features, states = carry
        return emitted, features, states, ended

    def backward(self, kept: Tree, cotangents: tuple[Tree, Tree]) -> Tree:
        """Returns the gradients of the parameters from what the forward pass kept."""
        parameters, given, last, states, ended = kept
        of_emitted, of_features = cotangents
        steps, number, moment = _count(last, self.axis)

        def body(carry: Any) -> Any:
            index, of_following, of_ended, gradients = carry
            added, final = index == steps, index == number - 1
            place = jnp.minimum(index, self.length - 1)
            state = jax.lax.cond(
                added, lambda: ended, lambda: jax.tree.map(lambda all_: all_[place], states)
            )
            of_now = jax.tree.map(
                lambda all_: jnp.where(added, jnp.zeros_like(all_[0]), all_[place]), of_emitted
            )
            _, pull = jax.vjp(lambda p, s: self.step(p, given, s, moment(index)), parameters, state)
            of_its_features = jax.tree.map(lambda a: a * final.astype(a.dtype), of_features)
            new, of_state = pull((of_following, of_now, of_its_features))
            gradients += ravel_pytree(new)[0]
            # The added step stands for each sample's last one, and hands its cotangent to that.
            of_ended = jax.tree.map(lambda a, b: jnp.where(added, a, b), of_state, of_ended)
            both = jax.tree.map(jnp.add, of_state, of_ended)
            of_state = jax.tree.map(
                lambda a: jnp.where(added, 0, a), _select(last == index, both, of_state)
            )
            return index - 1, of_state, of_ended, gradients

        nothing = _zeros(ended)
        # Added up as one vector: an addition for each parameter is as much to compile as a layer.
        gradients, apart = ravel_pytree(_zeros(parameters))
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


def _select(these: jax.Array, chosen: Tree, others: Tree) -> Tree:
    """Returns these samples, a mask [B], from `chosen` and the rest from `others`."""

    def one(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(these.reshape(these.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(one, chosen, others)


def _put(stacked: Tree, place: jax.Array, new: Tree, unless: jax.Array) -> Tree:
    return jax.tree.map(lambda a, b: a.at[place].set(jnp.where(unless, a[place], b)), stacked, new)


def _stacked(tree: Tree, length: int) -> Tree:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct((length, *a.shape), a.dtype), tree)


def _zeros(tree: Tree) -> Tree:
    return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), tree)
