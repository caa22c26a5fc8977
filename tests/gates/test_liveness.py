"""What can influence a prediction, and which programs cannot."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from evo_clrs.gates import mlir
from evo_clrs.gates.dataflow import BARRIER, walk
from evo_clrs.gates.liveness import (
    inert,
    live_arguments,
    live_slot_outputs,
    output_dependencies,
    without_dead_code,
)
from tests.gates.export import export_graph

X = jax.ShapeDtypeStruct((3,), jnp.float32)
N = jax.ShapeDtypeStruct((), jnp.int32)


def text_of(function, *arguments):
    return jax.jit(function, keep_unused=True).lower(*arguments).as_text()


def test_each_output_has_its_own_arguments():
    def function(a, b, c, d):
        return a + b, jnp.sort(c), jnp.zeros_like(d)

    text = text_of(function, X, X, X, X)
    assert output_dependencies(text) == (frozenset({0, 1}), frozenset({2}), frozenset())
    assert live_arguments(text) == {0, 1, 2}


def test_a_carry_that_nothing_reads_is_dead():
    def function(a, b, c):
        def body(_, carry):
            live, dead, constant = carry
            return live * constant, dead + live * a, constant

        return jax.lax.fori_loop(0, 4, body, (b, a, c))[0]

    assert live_arguments(text_of(function, X, X, X)) == {1, 2}


def test_carries_that_read_each_other_are_live():
    def function(a, b, c, d):
        def body(_, carry):
            first, second, third, fourth = carry
            return second, third, first * 2.0, fourth

        first, _, _, fourth = jax.lax.fori_loop(0, 2, body, (a, b, c, d))
        return first, fourth

    text = text_of(function, X, X, X, X)
    assert output_dependencies(text) == (frozenset({0, 1, 2}), frozenset({3}))


def test_the_number_of_steps_counts():
    def function(steps, x, y):
        return jax.lax.while_loop(lambda c: c[0] < steps, lambda c: (c[0] + 1, c[1] * 2), (0, x))

    assert live_arguments(text_of(function, N, X, X)) == {0, 1}


def test_branches():
    def function(which, a, b, c):
        out = jax.lax.cond(which > 0, lambda: (a, b), lambda: (a * 2, c))
        return out[0]

    assert live_arguments(text_of(function, N, X, X, X)) == {0, 1}


def test_a_dead_argument_is_dead_in_numbers_too():
    """Gradients by arguments reported dead are zero; by live ones not."""

    def function(a, b, c, d):
        def step(carry, item):
            kept, lost = carry
            return (jnp.tanh(kept + item), lost + kept * d), kept * b

        (kept, _), ys = jax.lax.scan(step, (a, d), jnp.stack([a, c]))
        return kept.sum() + ys.sum()

    arrays = [jnp.arange(1.0, 4.0) * k for k in (0.1, 0.2, 0.3, 0.4)]
    gradients = jax.grad(function, argnums=(0, 1, 2, 3))(*arrays)
    moving = {i for i, gradient in enumerate(gradients) if np.any(np.asarray(gradient) != 0)}
    assert live_arguments(text_of(function, X, X, X, X)) == moving == {0, 1, 2}


def test_dead_code_is_removed():
    def function(a):
        def body(_, carry):
            return carry[0] * 2.0, jnp.exp(carry[1])

        return jax.lax.fori_loop(0, 4, body, (a, a))[0]

    program = mlir.read(text_of(function, X))
    kept = {operation.name for operation in walk(without_dead_code(program).body)}
    assert "stablehlo.exponential" in {operation.name for operation in walk(program.body)}
    assert "stablehlo.exponential" not in kept and "stablehlo.multiply" in kept


class TestInert:
    """A slot that gives node and edge outputs, in a task that reads nodes only."""

    NODES, EDGES = (1, 4, 8), (1, 4, 4, 8)

    def edges_only(self, nodes, edges):
        return nodes * 0 + 1.0, hk.Linear(8)(edges)

    def graph(self, function):
        return export_graph(function, [[self.NODES, self.EDGES]])

    def predictions(self, reads_edges):
        def predict(decoder, features, node_probe, edge_probe):
            hidden = features + node_probe
            for _ in range(2):
                hidden = jnp.tanh(hidden + node_probe)
            edge_scores = (edge_probe * decoder).sum(-1)
            return hidden @ decoder, edge_scores if reads_edges else jnp.zeros(())

        shapes = [(8,), self.NODES, self.NODES, self.EDGES]
        arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        return text_of(predict, *arguments)

    def test_outputs_that_predictions_read(self):
        assert live_slot_outputs(self.predictions(False), (2, 3)) == {0}
        assert live_slot_outputs(self.predictions(True), (2, 3)) == {0, 1}

    def test_a_program_that_works_on_outputs_unread_is_inert(self):
        def function(nodes, edges):
            return jnp.ones_like(nodes), hk.Linear(8)(edges)

        graph = self.graph(function)
        assert inert(graph, live_slot_outputs(self.predictions(False), (2, 3)))
        assert not inert(graph, live_slot_outputs(self.predictions(True), (2, 3)))

    def test_an_absent_output_keeps_the_positions_of_the_others(self):
        graph = self.graph(lambda nodes, edges: (None, hk.Linear(8)(edges)))
        assert inert(graph, {0})
        assert not inert(graph, {1})

    def test_a_program_that_only_reads_its_inputs_is_not_inert(self):
        assert not inert(self.graph(lambda nodes, edges: (nodes, edges)), {0})


def test_a_barrier_hands_on_each_array_at_its_place():
    def run(x, y):
        first, second = jax.lax.optimization_barrier((jnp.sin(x), jnp.cos(y)))
        return first, second * 2.0

    text = jax.jit(run).lower(1.0, 2.0).as_text()
    assert output_dependencies(text) == (frozenset({0}), frozenset({1}))
    half = jax.jit(lambda x, y: run(x, y)[1]).lower(1.0, 2.0).as_text()
    program = without_dead_code(mlir.read(half))
    (barrier,) = [o for o in program.body.operations if o.name == BARRIER]
    assert len(barrier.operands) == len(barrier.results) == 1
