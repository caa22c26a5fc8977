"""Our model beside the library's BaselineModel: same weights, data and keys."""

import dataclasses
from unittest import mock

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs import data, reference
from evo_clrs.problems.clrs.encoding import count_channels
from evo_clrs.problems.clrs.model import Model, ModelOptions
from evo_clrs.problems.clrs.shapes import categories_of
from evo_clrs.problems.clrs.sinkhorn import log_sinkhorn
from evo_clrs.problems.clrs.tasks import CLRS30, task
from evo_clrs.problems.slot_function import SlotFunction, from_haiku
from evo_clrs.slots import PROCESSOR, TRIPLET

TRIPLET_GMPNN = clrs.get_processor_factory("triplet_gmpnn", use_ln=True, nb_triplet_fts=8)
BATCH = 2
OPTIONS = ModelOptions(hidden_size=8, gumbel_noise=False)
PROTOCOL = dataclasses.replace(CLRS30, max_needle=1)

# Compiling is most of the time here, and the steps are few.
FAST_COMPILE = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_llvm_disable_expensive_passes": True,
}


def triplet_messages(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    triplets = clrs.processors.get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts)
    return hk.Linear(out_size)(jnp.max(triplets, axis=1))


def samples(name: str, count: int = BATCH) -> data.Pool:
    pool = data.make_pool(task(name, PROTOCOL), PROTOCOL, "train", 4, count, 1)
    return jax.tree.map(jnp.asarray, pool)


def filled(
    name: str, slot_name: str, options: ModelOptions, batch: data.Pool, factory=TRIPLET_GMPNN
):
    posed = task(name, PROTOCOL)
    channels = count_channels(posed, categories_of(posed, batch))
    size = options.size(batch.count, batch.nodes, channels)
    if slot_name == "triplet":
        return from_haiku(TRIPLET, triplet_messages, size)
    return from_haiku(PROCESSOR, factory, size)


def model_of(name: str, batch: data.Pool, slot: SlotFunction, options=OPTIONS) -> Model:
    posed = task(name, PROTOCOL)
    return Model(posed, categories_of(posed, batch), slot, options)


def library_weights(baseline, features) -> dict:
    """Random weights in the shapes of a BaselineModel, without its slow initialisation."""
    shapes = jax.eval_shape(
        lambda key: baseline.net_fn.init(key, [features], True, -1, False, False),
        jax.random.PRNGKey(0),
    )
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda array: jnp.asarray(random.normal(size=array.shape) * 0.3, array.dtype), shapes
    )


def noiseless_sinkhorn(x, steps, temperature, zero_diagonal, noise_rng_key):
    """Stands for the library's, which unrolls its loop and cannot leave out the noise."""
    assert zero_diagonal
    return log_sinkhorn(x, steps, temperature)


def run(function, *arguments):
    return jax.jit(function, compiler_options=FAST_COMPILE)(*arguments)


def both(name: str, slot_name: str, factory=TRIPLET_GMPNN):
    """Returns loss and predictions, ours and the reference's, with the same weights."""
    posed, batch, key = task(name, PROTOCOL), samples(name), jax.random.PRNGKey(1)
    feedback = data.feedback(posed, batch)
    model = model_of(name, batch, filled(name, slot_name, OPTIONS, batch, factory))
    baseline = reference.baseline(posed, feedback, factory, OPTIONS)
    weights = library_weights(baseline, feedback.features)
    params = reference.carry_weights(weights, model)

    def ours(params, batch):
        return model.loss(params, key, batch), model.predict(params, key, batch)

    def theirs(weights, feedback):
        loss = baseline._loss(weights, key, feedback, 0)
        points, _ = baseline._predict(weights, key, feedback.features, 0, False, False)
        return loss, {name: point.data for name, point in points.items()}

    with mock.patch.object(clrs._src.decoders, "log_sinkhorn", noiseless_sinkhorn):
        expected = run(theirs, weights, feedback)
    return run(ours, params, batch), expected
