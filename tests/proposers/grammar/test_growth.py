import pytest

from evo_clrs import programs, slots
from evo_clrs.proposers.grammar.growth import BOUNDED, GROWING, STEADY, growth, is_steady
from evo_clrs.proposers.grammar.survey import survey_proposals
from tests.proposers.grammar.gallery import PROGRAMS, draft_of

CASES = {
    "hidden": STEADY,
    "node_fts": BOUNDED,
    "hidden + node_fts": STEADY,
    "hidden + hidden": GROWING,
    "hidden * hidden": GROWING,
    "hidden * 0.5": STEADY,
    "hidden * 2.0": GROWING,
    "jnp.tanh(hidden) * hidden": STEADY,
    "jax.nn.relu(hidden) / 2.0": STEADY,
    "hk.Linear(self.size)(hidden)": GROWING,
    "hk.Linear(self.size)(jnp.tanh(hidden))": BOUNDED,
    "hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(hidden * hidden)": BOUNDED,
    "gate * node_fts + (1 - gate) * hidden": STEADY,
    "jnp.max(edge_fts, axis=1)": BOUNDED,
    "jnp.sum(jnp.expand_dims(hidden, 1) * adj_mat[..., None], axis=2)": GROWING,
    "jnp.einsum('bij,bjf->bif', weights, hidden)": STEADY,
    "jnp.einsum('bij,bjf->bif', adj_mat, hidden)": GROWING,
    "jnp.maximum(hidden, node_fts)": STEADY,
    "unheard_of(node_fts)": BOUNDED,
    "unheard_of(hidden)": GROWING,
}


@pytest.mark.parametrize("expression", CASES)
def test_growth_with_the_state(expression):
    source = f"""
import clrs
import haiku as hk
import jax
import jax.numpy as jnp


class Processor(clrs.processors.Processor):
    def __init__(self, out_size, name="p"):
        super().__init__(name=name)
        self.size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        gate = jax.nn.sigmoid(hk.Linear(1)(hidden))
        weights = jax.nn.softmax(jnp.matmul(hidden, jnp.swapaxes(hidden, 1, 2)), axis=-1)
        node = {expression}
        return node, None
"""
    draft = draft_of("processor", source)
    (value,) = draft.body[-1].value.elts[:1]
    assert growth(draft, value, "hidden") == CASES[expression]
    assert is_steady(draft, "hidden", 0) == (CASES[expression] < GROWING)


def test_processors_of_the_gallery_and_their_children_are_steady():
    for slot_name, name, source in PROGRAMS:
        if slot_name == "processor":
            assert is_steady(draft_of(slot_name, source), "hidden", 0), name
    seeds = programs.seeds("processor")
    for _, proposal in survey_proposals(slots.PROCESSOR, seeds, 40, seed=5):
        assert is_steady(draft_of("processor", proposal.source), "hidden", 0)
