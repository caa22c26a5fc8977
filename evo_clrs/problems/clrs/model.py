"""Our encode-process-decode model around a slot, trusted from end to end but for the slot.

A step of message passing encodes inputs and hints into node, edge and graph features, calls the
slot, and decodes hints and outputs. Hints are fed back softly (probabilities, not decisions), the
true ones only at the first step; an output is taken from the last step of each sample, which the
true trajectory fixes. That is the protocol of Ibarz et al. 2022 (arXiv 2209.11142), without
dropout and teacher forcing, and `clrs.models.BaselineModel` computes the same numbers.

Each step is traced once: the true first hints enter the loop in the form in which predictions are
fed back, so that the first step is like the others. How long the loop is, where outputs are
decoded, and what the backward pass computes again is said in `unroll`. Edge features are kept as
the few scalars that they are sums of, see `linear`.

The clrs library gives specifications, encoders, decoders and postprocessing; nothing else of it is
used here.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from evo_clrs.clrs_library import clrs
from evo_clrs.linear import through_channels
from evo_clrs.problems.clrs import encoding, losses
from evo_clrs.problems.clrs import parameters as fresh
from evo_clrs.problems.clrs.data import Pool
from evo_clrs.problems.clrs.decoding import Features, decode, soften
from evo_clrs.problems.clrs.shapes import empty_batch
from evo_clrs.problems.clrs.sinkhorn import gumbel_noise, log_sinkhorn
from evo_clrs.problems.clrs.tasks import Task
from evo_clrs.problems.clrs.triplet_gmpnn import TripletGMPNN
from evo_clrs.problems.clrs.unroll import unroll
from evo_clrs.problems.slot_function import SlotFunction
from evo_clrs.records import Parameter, Size, make_size

_decoders = clrs._src.decoders
_encoders = clrs._src.encoders

_Type = clrs.Type

Arrays = Mapping[str, jax.Array]
Parameters = Mapping[str, Any]

# Settings of the library's permutation decoders.
_SINKHORN_TEMPERATURE = 0.1
_SINKHORN_STEPS_DECODED = 10
_SINKHORN_STEPS_DECIDED = 50


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """Settings of the model; the defaults are those of Ibarz et al. 2022.

    Attributes:
      hidden_size: width H of all embeddings.
      triplet_size: triplet features K, for slots that ask for them.
      encoder_init: initialiser of the encoders; `xavier_on_scalars` or `default`.
      gumbel_noise: whether permutation decoders see Gumbel noise in training.
    """

    hidden_size: int = 128
    triplet_size: int = 8
    encoder_init: str = "xavier_on_scalars"
    gumbel_noise: bool = True

    def __post_init__(self):
        for name in ("hidden_size", "triplet_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def size(self, batch_size: int, nodes: int, channels: int) -> Size:
        """Returns the size at which a slot is called, and so must be traced.

        Args:
          batch_size: samples in a batch.
          nodes: nodes of each sample.
          channels: what `encoding.count_channels` says of the task.
        """
        return make_size(B=batch_size, N=nodes, H=self.hidden_size, K=self.triplet_size, R=channels)


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """The model of one task with one slot function in it; pure functions of its parameters.

    Parameters are `{"model": Haiku parameters, "slot": tuple in the slot's order}`.

    Attributes:
      task: the task, as the protocol poses it.
      categories: name -> number of classes, for each categorical output and hint.
      slot: what fills the slot.
      options: settings.
    """

    task: Task
    categories: Mapping[str, int]
    slot: SlotFunction
    options: ModelOptions = ModelOptions()

    def init(self, key: jax.Array) -> Parameters:
        """Returns fresh parameters; runs no message passing, and compiles none of it."""
        slot = self.slot.init(key, self.slot.sizes[0])
        return {"model": fresh.initialise(self._described, key), "slot": slot}

    def shapes(self) -> Parameters:
        """Returns the parameters' shapes, without drawing them."""
        model = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype), self._described)
        return {"model": model, "slot": self.slot.shapes()}

    @property
    def parameters(self) -> int:
        """How many numbers the parameters hold, the slot's included."""
        return sum(array.size for array in jax.tree.leaves(self.shapes()))

    def loss(
        self, params: Parameters, key: jax.Array, batch: Pool, axis: str | None = None
    ) -> jax.Array:
        """Returns the training loss: that of each output and of each hint, added up.

        Args:
          params: parameters.
          key: uint32[2], for Gumbel noise and for what the slot draws.
          batch: samples with labels.
          axis: name of the axis that `jax.vmap` maps this over, if it does.
        """
        outputs, hints = self._unroll(params, key, batch, training=True, axis=axis)
        rows = [losses.of_output(f, outputs[f.name], batch) for f in self.task.outputs]
        rows += [losses.of_hint(f, hints[f.name], batch) for f in self.task.hints]
        return losses.add_up(rows)

    def forward(self, params: Parameters, key: jax.Array, batch: Pool) -> dict[str, jax.Array]:
        """Returns raw output predictions (logits), those of the last step of each sample."""
        return self._unroll(params, key, batch, training=False)[0]

    def decide(self, outputs: Arrays) -> dict[str, jax.Array]:
        """Returns decisions for raw predictions: pointers as indices, the rest as 0 and 1."""
        permutations = self._permutations()
        outputs = {
            name: log_sinkhorn(array, _SINKHORN_STEPS_DECIDED, _SINKHORN_TEMPERATURE)
            if name in permutations
            else array
            for name, array in outputs.items()
        }
        points = _decoders.postprocess(
            self._plain_spec(), outputs, _SINKHORN_TEMPERATURE, 0, hard=True
        )
        decided = {name: point.data for name, point in points.items()}
        for name in permutations:
            decided[name] = jax.nn.one_hot(decided[name], outputs[name].shape[-1])
        return decided

    def predict(self, params: Parameters, key: jax.Array, batch: Pool) -> dict[str, jax.Array]:
        """Returns output predictions, decided; labels in `batch` are not looked at."""
        return self.decide(self.forward(params, key, batch))

    @functools.cached_property
    def _described(self) -> Mapping[str, Mapping[str, Parameter]]:
        """The parameters around the slot, with how they are drawn."""
        dimensions = dict(self.slot.sizes[0])
        counts = dimensions["B"], dimensions["N"]

        def whole(slot_params: tuple[jax.Array, ...]) -> None:
            batch = empty_batch(self.task, self.categories, *counts, steps=1)
            hidden, hints = self._start(batch)
            features = self._step(slot_params, hidden, batch.inputs, hints)[-1]
            self._decode_outputs(features, training=False)

        return fresh.describe(whole, self.slot.shapes())

    def _unroll(
        self,
        params: Parameters,
        key: jax.Array,
        batch: Pool,
        training: bool,
        axis: str | None = None,
    ) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Returns last outputs, name -> [B, ...], and in training all hints, name -> [T-1, B, ...].

        Both are raw predictions.
        """
        transformed = hk.transform(self._step).apply
        loop_key, noise_key = jax.random.split(key)

        def step(params: Parameters, given: Any, state: Any, index: jax.Array) -> Any:
            key, inputs = given
            new, hints, features = transformed(
                params["model"],
                jax.random.fold_in(key, index),
                params["slot"],
                state[0],
                inputs,
                state[1],
            )
            fed_back = soften(self.task.hints, hints)
            return (new, fed_back), hints if training else {}, features

        last = jnp.maximum(batch.lengths - 2, 0)
        hints, features = unroll(
            step, params, (loop_key, batch.inputs), self._start(batch), last, batch.steps, axis
        )
        decode = hk.transform(self._decode_outputs).apply
        return decode(params["model"], noise_key, features, training), hints

    def _start(self, batch: Pool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns what the first step finds: embeddings, and hints in fed-back form."""
        hidden = jnp.zeros((batch.count, batch.nodes, self.options.hidden_size))
        hints = {
            name: _encoders.preprocess(self._point(name, array[0]), batch.nodes).data.astype(
                hidden.dtype
            )
            for name, array in batch.hints.items()
        }
        return hidden, hints

    def _permutations(self) -> tuple[str, ...]:
        """Returns the names of permutation outputs."""
        return tuple(f.name for f in self.task.outputs if f.type == _Type.PERMUTATION_POINTER)

    def _plain_spec(self) -> dict[str, tuple[str, str, str]]:
        """Returns the spec with permutations as plain pointers: our Sinkhorn takes it from there.

        The library decodes and decides both alike, but for its Sinkhorn.
        """
        return {
            name: (stage, location, _Type.POINTER if type_ == _Type.PERMUTATION_POINTER else type_)
            for name, (stage, location, type_) in self.task.spec.items()
        }

    def _step(
        self,
        slot_params: tuple[jax.Array, ...],
        hidden: jax.Array,
        inputs: Arrays,
        hints: Arrays,
    ) -> tuple[jax.Array, dict[str, jax.Array], Features]:
        """One step of message passing; to be transformed by Haiku.

        Args:
          slot_params: the slot's parameters.
          hidden: [B, N, H] embeddings of the previous step.
          inputs: name -> [B, ...].
          hints: name -> [B, ...] in fed-back form: pointers as distributions over nodes.

        Returns:
          new embeddings [B, N, H], raw hint predictions, and what outputs are decoded from.
        """
        points = [self._point(name, array) for name, array in inputs.items()]
        points += [self._point(name, array, soft=True) for name, array in hints.items()]
        node_fts, edge_fts, graph_fts, adj_mat = encoding.encode(self._encoders(), points, hidden)
        factors = (edge_fts.channels, edge_fts.vectors)

        slot_key = hk.next_rng_key()
        batch_size, nodes, _ = hidden.shape
        size = self.options.size(batch_size, nodes, edge_fts.channels.shape[-1])

        if self.slot.slot.name == "triplet":

            def messages(z: jax.Array) -> jax.Array:
                arguments = (z, *factors, graph_fts)
                return self.slot.apply(slot_params, slot_key, size, arguments)[0]

            surroundings = TripletGMPNN(self.options.hidden_size)
            with through_channels():
                new, embeddings = surroundings(messages, node_fts, edge_fts, graph_fts, hidden)
        else:
            arguments = (node_fts, *factors, graph_fts, adj_mat, hidden)
            new, embeddings = self.slot.apply(slot_params, slot_key, size, arguments)

        features = Features(
            nodes=jnp.concatenate([node_fts, hidden, new], axis=-1),
            edges=dataclasses.replace(edge_fts, others=embeddings),
            graph=graph_fts,
            adjacency=adj_mat,
        )
        return new, self._decode(features, clrs.Stage.HINT), features

    def _decode_outputs(self, features: Features, training: bool) -> dict[str, jax.Array]:
        """Returns raw predictions of the outputs; to be transformed by Haiku."""
        outputs = self._decode(features, clrs.Stage.OUTPUT)
        noisy = training and self.options.gumbel_noise
        for name in self._permutations():
            noise = gumbel_noise(hk.next_rng_key(), outputs[name].shape) if noisy else 0.0
            outputs[name] = log_sinkhorn(
                outputs[name] + noise, _SINKHORN_STEPS_DECODED, _SINKHORN_TEMPERATURE
            )
        return outputs

    def _decode(self, features: Features, stage: str) -> dict[str, jax.Array]:
        """Returns raw predictions of hints or outputs, permutations as plain pointers."""
        wanted = [f for f in self.task.features if f.stage == stage]
        return decode(
            features, wanted, self.options.hidden_size, self.categories, self.slot.properties
        )

    def _encoders(self) -> dict[str, Any]:
        """Returns encoders by name; to be called within a Haiku function."""
        with jax.ensure_compile_time_eval():  # or the library's initialisers are traced
            return {
                f.name: _encoders.construct_encoders(
                    f.stage,
                    f.location,
                    f.type,
                    hidden_dim=self.options.hidden_size,
                    init=self.options.encoder_init,
                    name=f.name,
                )
                for f in self.task.features
                if f.stage in (clrs.Stage.INPUT, clrs.Stage.HINT)
            }

    def _point(self, name: str, array: jax.Array, soft: bool = False) -> Any:
        _, location, type_ = self.task.spec[name]
        if soft and type_ == _Type.POINTER:
            type_ = _Type.SOFT_POINTER
        return clrs.DataPoint(name=name, location=location, type_=type_, data=array)
