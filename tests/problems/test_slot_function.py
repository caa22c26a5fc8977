"""An exported graph and the code it was exported from are the same slot function."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs import data
from evo_clrs.problems.clrs.model import Model, ModelOptions
from evo_clrs.problems.clrs.shapes import categories_of
from evo_clrs.problems.clrs.tasks import CLRS30, task
from evo_clrs.problems.slot_function import SlotFunction, arguments_at, from_graph, from_haiku
from evo_clrs.records import Graph, Size, SizedGraph, for_seeds, seeds_at
from evo_clrs.slots import PROCESSOR, TRIPLET, Slot

OPTIONS = ModelOptions(hidden_size=16)
SIZE, OTHER = OPTIONS.size(2, 5, 4), OPTIONS.size(2, 7, 4)
KEY = jax.random.PRNGKey(3)


def export(function: SlotFunction, sizes: tuple[Size, ...]) -> Graph:
    """Exports as the jail does, in the calling convention of `records.SizedGraph`."""
    platforms = ("cpu", "cuda", "tpu")

    def at(size: Size) -> SizedGraph:
        def apply(params, key, inputs):
            outputs = function.apply(params, key, size, inputs)
            return tuple(output for output in outputs if output is not None)

        params = jax.eval_shape(lambda: function.init(KEY, size))
        inputs = arguments_at(function.slot, size)
        outputs = jax.eval_shape(lambda p: function.apply(p, KEY, size, inputs), params)
        init = jax.export.export(jax.jit(lambda key: function.init(key, size)), platforms=platforms)
        arguments, seeds = (params, KEY, inputs), seeds_at(size)
        if seeds is not None:
            arguments = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct((seeds, *a.shape), a.dtype), arguments
            )
        mapped = apply if seeds is None else jax.vmap(apply)
        exported = jax.export.export(jax.jit(mapped), platforms=platforms)(*arguments)
        return SizedGraph(
            size=size,
            init=bytes(init(KEY).serialize()),
            apply=bytes(exported.serialize(vjp_order=1)),
            outputs=tuple(None if output is None else output.shape for output in outputs),
        )

    return Graph(
        slot=function.slot.name,
        parameters=function.parameters,
        sizes=tuple(map(at, sizes)),
        properties=function.properties,
    )


def library(kind: str) -> SlotFunction:
    factory = clrs.get_processor_factory(kind, use_ln=True, nb_triplet_fts=8, nb_heads=2)
    return from_haiku(PROCESSOR, factory, SIZE)


def messages(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    triplets = clrs.processors.get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts)
    return jnp.max(triplets, axis=1)[..., :3]


def random_arguments(slot: Slot, size: Size) -> tuple[jax.Array, ...]:
    random = np.random.default_rng(0)
    return tuple(
        jnp.asarray(random.normal(size=tensor.at(size)), jnp.float32) for tensor in slot.arguments
    )


@pytest.mark.parametrize("size", [SIZE, OTHER])
@pytest.mark.parametrize(
    "function",
    [library("triplet_gmpnn"), library("gat"), from_haiku(TRIPLET, messages, SIZE)],
    ids=["with_edges", "without_edges", "triplet"],
)
def test_a_graph_gives_what_the_code_gives(function, size):
    graph = from_graph(export(function, (SIZE, OTHER)))
    inputs = random_arguments(function.slot, size)
    params = graph.init(KEY, SIZE)
    assert [(p.shape, p.dtype.name) for p in params] == [
        (p.shape, p.dtype) for p in function.parameters
    ]
    assert graph.count() == sum(p.size for p in params)
    actual = graph.apply(params, KEY, size, inputs)
    expected = function.apply(params, KEY, size, inputs)
    assert [output is None for output in actual] == [output is None for output in expected]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), actual, expected
    )


def test_a_graph_at_a_size_that_was_not_traced_is_refused():
    graph = from_graph(export(library("pgn"), (SIZE,)))
    with pytest.raises(KeyError, match="not traced"):
        graph.apply((), KEY, OTHER, ())


def test_properties_are_those_of_the_code():
    # Masked graph attention leaves pairs without an edge out of the decoders.
    assert library("pgn_mask").properties == {"inf_bias": True, "inf_bias_edge": True}
    assert library("mpnn").properties == {"inf_bias": False, "inf_bias_edge": False}


def test_training_through_a_graph_equals_training_through_the_code():
    posed = task("bfs", CLRS30)
    batch = jax.tree.map(jnp.asarray, data.make_pool(posed, CLRS30, "train", 5, 2, 1))
    function = library("triplet_gmpnn")
    graph = from_graph(export(function, (SIZE,)))
    models = [
        Model(posed, categories_of(posed, batch), slot, OPTIONS) for slot in (function, graph)
    ]
    params = models[0].init(KEY)
    losses, gradients = zip(
        *(jax.jit(jax.value_and_grad(model.loss))(params, KEY, batch) for model in models),
        strict=True,
    )
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    norm, difference = (
        np.sqrt(sum(float(jnp.sum(array**2)) for array in jax.tree.leaves(tree)))
        for tree in (gradients[0], jax.tree.map(jnp.subtract, *gradients))
    )
    assert difference < 1e-4 * norm


def noisy(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    kept = jax.random.bernoulli(hk.next_rng_key(), 0.5, z.shape[:2])
    return edge_fts * hk.Linear(out_size)(z)[:, None] * kept[:, None, :, None]


def test_a_graph_for_seeds_together_is_what_vmap_calls():
    function = from_haiku(TRIPLET, noisy, SIZE)
    graph = from_graph(export(function, (SIZE, for_seeds(SIZE, 3))))
    keys = jax.random.split(KEY, 3)
    params = jax.vmap(lambda key: function.init(key, SIZE))(keys)
    inputs = random_arguments(TRIPLET, SIZE)  # shared by the seeds

    def loss(slot, params, key, inputs):
        return jnp.sum(jnp.sin(slot.apply(params, key, SIZE, inputs)[0]))

    def value_and_gradients(slot):
        return jax.value_and_grad(lambda p, k, x: loss(slot, p, k, x), argnums=(0, 2))

    mapped = jax.jit(jax.vmap(value_and_gradients(graph), (0, 0, None)))(params, keys, inputs)
    for seed, key in enumerate(keys):
        own = [array[seed] for array in params]
        for slot in (graph, function):
            alone = value_and_gradients(slot)(tuple(own), key, inputs)
            for mine, theirs in zip(jax.tree.leaves(mapped), jax.tree.leaves(alone), strict=True):
                np.testing.assert_allclose(mine[seed], theirs, rtol=1e-4, atol=1e-5)


def test_other_numbers_of_seeds_than_were_traced_are_refused():
    function = from_haiku(TRIPLET, messages, SIZE)
    graph = from_graph(export(function, (SIZE, for_seeds(SIZE, 3))))
    params, inputs = graph.init(KEY, SIZE), random_arguments(TRIPLET, SIZE)
    with pytest.raises(KeyError, match="not traced for 2 seeds together"):
        jax.vmap(lambda key: graph.apply(params, key, SIZE, inputs))(jax.random.split(KEY, 2))
