"""The programs that come with the package, as source text: seeds and gallery of each slot.

A seed starts a search; the gallery is what else is known to be worth comparing with. They are guest
code like any other program: read here as text, never imported.
"""

import importlib.resources
from collections.abc import Mapping

from evo_clrs.errors import UserError

# Names of the programs of each slot, in the order in which they are given out.
_SEEDS: Mapping[str, tuple[str, ...]] = {
    "processor": (
        "triplet_gmpnn",
        "gmpnn",
        "pgn",
        "gatv2_full",
        "gru_mpnn",
        "pairwise_products",
    ),
    "triplet": (
        "v1_standard",
        "v2_output_mlp",
        "v3_sum",
        "v4_node_mlps",
        "v5_edge_mlps",
        "v6_graph_mlp",
        "v7_no_graph",
        "v8_tiled_linear",
        "v9_bilinear",
    ),
    "network": ("paper_cnn", "linear", "mlp", "cnn", "gru"),
}
_GALLERY: Mapping[str, tuple[str, ...]] = {
    "processor": ("mpnn", "deep_sets", "gat", "gat_full"),
    "triplet": (
        "quad_node_min_max",
        "concat_rep",
        "tanh_expand_triplets",
        "div2_mean",
        "max_mean",
    ),
    "network": (),
}


def seeds(slot_name: str) -> Mapping[str, str]:
    """Returns the programs that start a search by default, from name to source text, in order.

    Raises:
      UserError: no programs come with this slot.
    """
    return _read(slot_name, _SEEDS)


def gallery(slot_name: str) -> Mapping[str, str]:
    """Returns the programs that do not start a search, from name to source text, in order.

    Raises:
      UserError: no programs come with this slot.
    """
    return _read(slot_name, _GALLERY)


def load(slot_name: str) -> Mapping[str, str]:
    """Returns all programs of a slot, from name to source text: the seeds, then the gallery.

    Raises:
      UserError: no programs come with this slot.
    """
    return {**seeds(slot_name), **gallery(slot_name)}


def _read(slot_name: str, names: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    if slot_name not in names:
        raise UserError(f"no programs for slot {slot_name!r}: choose from {', '.join(names)}")
    folder = importlib.resources.files(__name__) / slot_name
    return {name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in names[slot_name]}
