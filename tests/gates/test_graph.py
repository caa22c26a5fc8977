"""The graph gate lets ordinary programs pass and says why it stops others."""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

from evo_clrs.errors import Rejected
from evo_clrs.gates import mlir
from evo_clrs.gates.cost import cost
from evo_clrs.gates.graph import GraphLimits, check
from tests.gates.export import export_graph

SHAPES = [[(4, 8, 16)]]
LIMITS = GraphLimits()


def ordinary(x):
    return hk.Linear(16)(jax.nn.relu(x))


ORDINARY = {
    "layers": ordinary,
    "top_k": lambda x: jax.lax.top_k(x, 3)[0],
    "sort": lambda x: jnp.sort(x, axis=1),
    "erf": lambda x: jax.nn.gelu(x, approximate=False),
    "cumsum": lambda x: jnp.cumsum(x, axis=1),
    "random": lambda x: hk.dropout(hk.next_rng_key(), 0.5, x),
    "einsum": lambda x: jnp.einsum("bij,bkj->bik", x, x),
    "scan": lambda x: jax.lax.scan(lambda c, a: (c + a, c), x[:, 0], x.swapaxes(0, 1))[1],
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_programs_pass(name):
    found = check(export_graph(ORDINARY[name], SHAPES), LIMITS)
    assert found.operations > 0 and not found.unbounded


def rejection(graph, limits=LIMITS):
    with pytest.raises(Rejected) as caught:
        check(graph, limits)
    return caught.value.stage, caught.value.reason


def test_library_calls_need_permission():
    graph = export_graph(lambda x: jnp.linalg.qr(x)[0], [[(3, 3)]])
    stage, reason = rejection(graph)
    assert stage == "trace" and "custom call" in reason and "is not allowed" in reason
    called = {
        name.removeprefix("custom_call ")
        for program in (*mlir.read_graph(graph).forward, *mlir.read_graph(graph).backward)
        for name in program.mentions
        if name.startswith("custom_call ")
    }
    check(graph, dataclasses.replace(LIMITS, custom_calls=frozenset(called)))


def test_library_calls_on_other_platforms_and_in_initialisers_count():
    def on_gpu(x):
        return jax.lax.platform_dependent(
            x, cuda=lambda x: jnp.linalg.qr(x)[0], default=lambda x: x * 2.0
        )

    def orthogonal(x):
        return hk.Linear(4, w_init=hk.initializers.Orthogonal())(x)

    assert rejection(export_graph(on_gpu, [[(3, 3)]]))[0] == "trace"
    assert rejection(export_graph(orthogonal, [[(3, 3)]]))[0] == "trace"


def test_limits():
    graph = export_graph(ordinary, SHAPES)
    found = check(graph, LIMITS)
    flops, peak, moved, steps = (
        max(getattr(phase, name) for phase in found.phases)
        for name in ("flops", "peak_bytes", "bytes", "steps")
    )
    just = GraphLimits(flops, peak, moved, steps, found.operations)
    assert check(graph, just) == found
    for name, word in (
        ("flops", "FLOPs"),
        ("peak_bytes", "memory"),
        ("bytes", "bytes moved"),
        ("steps", "steps of loops"),
        ("operations", "operations"),
    ):
        lower = dataclasses.replace(just, **{name: getattr(just, name) - 1})
        stage, reason = rejection(graph, lower)
        assert stage == "over_budget" and word in reason and "limit" in reason


def test_memory_is_predicted_without_running():
    def greedy(x):
        wide = jnp.einsum("bik,bjk->bij", jnp.tile(x, (1, 4096, 1)), jnp.tile(x, (1, 4096, 1)))
        return jnp.tanh(wide) @ jnp.tile(x, (1, 4096, 1))

    stage, reason = rejection(export_graph(greedy, SHAPES))
    assert stage == "over_budget"
    assert reason.startswith("predicted ") and "GiB of memory, limit 4 GiB" in reason


def test_a_loop_that_may_not_end_is_rejected():
    def endless(x):
        halved = jax.lax.while_loop(
            lambda y: y.sum() > 1, lambda y: y / 2, jax.lax.stop_gradient(x)
        )
        return x + jax.lax.stop_gradient(halved)

    assert rejection(export_graph(endless, SHAPES)) == (
        "over_budget",
        "the number of steps of a loop is not known in advance",
    )


def test_what_differs_on_another_platform_is_counted_as_well():
    def elsewhere(x):
        still = jax.lax.stop_gradient(x)
        halved = jax.lax.platform_dependent(
            still,
            cpu=lambda y: y,
            default=lambda y: jax.lax.while_loop(lambda y: y.sum() > 1, lambda y: y / 2, y),
        )
        return x + jax.lax.stop_gradient(halved)

    graph = export_graph(elsewhere, SHAPES)
    assert mlir.read_graph(graph).forward[0].elsewhere
    assert rejection(graph)[0] == "over_budget"
    same = mlir.read_graph(export_graph(lambda x: x @ x.swapaxes(1, 2), SHAPES))
    assert not same.forward[0].elsewhere  # products are lowered for each platform, all alike


def test_seeds_together_cost_what_one_alone_costs():
    alone = check(export_graph(ordinary, SHAPES), LIMITS)
    assert check(export_graph(ordinary, SHAPES, seeds=3), LIMITS) == alone


def test_seeds_together_may_take_as_many_times_the_work_and_no_more():
    honest = export_graph(ordinary, SHAPES, seeds=3)
    alone = max(phase.flops for phase in cost(honest).phases)
    limits = dataclasses.replace(LIMITS, flops=alone)
    check(honest, limits)
    # A graph for three seeds that does the work of a hundred.
    more = export_graph(ordinary, SHAPES, seeds=100).sizes[1]
    more = dataclasses.replace(more, size=honest.sizes[1].size)
    forged = dataclasses.replace(honest, sizes=(honest.sizes[0], more))
    stage, reason = rejection(forged, limits)
    assert stage == "over_budget" and reason.startswith("3 seeds together: predicted")


def test_seeds_together_may_not_take_more_memory():
    graph = export_graph(ordinary, SHAPES, seeds=3)
    alone = max(phase.peak_bytes for phase in cost(graph).phases)
    limits = dataclasses.replace(LIMITS, peak_bytes=2 * alone)
    check(export_graph(ordinary, SHAPES), limits)
    stage, reason = rejection(graph, limits)
    assert stage == "over_budget" and reason.startswith("3 seeds together: predicted")


def test_library_calls_of_seeds_together_need_permission():
    plain, called = (
        export_graph(function, [[(3, 3)]], seeds=2)
        for function in (lambda x: x * 2, lambda x: jnp.linalg.qr(x)[0])
    )
    forged = dataclasses.replace(plain, sizes=(plain.sizes[0], called.sizes[1]))
    stage, reason = rejection(forged)
    assert stage == "trace" and "custom call" in reason
