"""The reference, `clrs.models.BaselineModel`, set up as our model: to be compared with, not used.

Its weights can be carried into ours, so that losses and predictions can be held side by side.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs.model import Model, ModelOptions, Parameters
from evo_clrs.problems.clrs.tasks import Task

# The library's Triplet-GMPNN numbers its linear layers in order of their making; ours have names.
_TRIPLET_GMPNN = {
    "linear": "message_receiver",
    "linear_1": "message_sender",
    "linear_2": "message_edge",
    "linear_3": "message_graph",
    "linear_4": "node_out",
    "linear_5": "messages_out",
    "linear_14": "gate_node",
    "linear_15": "gate_messages",
    "linear_16": "gate_out",
    "layer_norm": "norm",
    "mlp/~/linear_0": "message_mlp/~/linear_0",
    "mlp/~/linear_1": "message_mlp/~/linear_1",
}
_TRIPLET_LAYERS = range(6, 14)  # those of the triplet message function
_PROCESSOR = "net/mpnn_aggr_clrs_processor/"
_CODERS = "net/~_construct_encoders_decoders/algo_0_"


def baseline(
    task: Task,
    sample: Any,
    factory: Callable[[int], Any],
    options: ModelOptions,
    learning_rate: float = 1e-3,
    clip_norm: float = 1.0,
) -> Any:
    """Returns a `BaselineModel` under the same protocol; call its `init` before use.

    Args:
      task: the task.
      sample: a `clrs.Feedback`, for shapes; `data.feedback` makes one.
      factory: processor factory, as `clrs.get_processor_factory` returns.
      options: settings of our model.
      learning_rate: of Adam.
      clip_norm: largest global norm of the gradients.
    """
    return clrs.models.BaselineModel(
        spec=[task.spec],
        dummy_trajectory=[sample],
        processor_factory=factory,
        hidden_dim=options.hidden_size,
        encode_hints=True,
        decode_hints=True,
        encoder_init=options.encoder_init,
        use_lstm=False,
        learning_rate=learning_rate,
        grad_clip_max_norm=clip_norm,
        dropout_prob=0.0,
        hint_teacher_forcing=0.0,
        hint_repred_mode="soft",
        nb_msg_passing_steps=1,
    )


def carry_weights(library: Mapping[str, Mapping[str, jax.Array]], model: Model) -> Parameters:
    """Returns the weights of a `BaselineModel` as parameters of ours.

    Args:
      library: the library's parameters. In a model of the triplet slot they must be those of its
        Triplet-GMPNN, and the slot function the library's own, in Haiku.
      model: our model.

    Raises:
      KeyError: an array of ours has no counterpart.
    """
    triplet = model.slot.slot.name == "triplet"
    model_shapes = model.shapes()["model"]
    names = {ours: _library_name(ours) for ours in model_shapes}
    slot = []
    for parameter in model.slot.parameters:
        module, _, name = parameter.name.rpartition("/")
        source = _triplet_layer(module) if triplet else f"net/{module}"
        slot.append(library[source][name])
    return {
        "model": {
            ours: {name: library[source][name] for name in model_shapes[ours]}
            for ours, source in names.items()
        },
        "slot": tuple(slot),
    }


def _library_name(module: str) -> str:
    """Returns the library's name of one of our modules outside the slot."""
    surroundings, _, inner = module.partition("/")
    if surroundings != "triplet_gmpnn":
        return _CODERS + module
    theirs = {ours: name for name, ours in _TRIPLET_GMPNN.items()}
    return _PROCESSOR + theirs[inner]


def _triplet_layer(module: str) -> str:
    """Returns the library's name of a layer of the triplet function: linear, linear_1, ..."""
    position = int(module.removeprefix("linear").removeprefix("_") or 0)
    return f"{_PROCESSOR}linear_{_TRIPLET_LAYERS[position]}"
