"""Programs of both slots and requests for children of them."""

import ast

from evo_clrs import programs, records, slots
from evo_clrs.proposers.grammar.clean import clean
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.prepare import prepare

PROGRAMS = [
    (slot_name, name, source)
    for slot_name in ("processor", "triplet")
    for name, source in programs.load(slot_name).items()
]

# A processor as people write them: helpers, a module class, loops, branches, reassigned names.
FREE_STYLE = """
import clrs
import haiku as hk
import jax
import jax.numpy as jnp

BIG = 1e6


def project(x, size, axes=None):
    y = hk.Linear(size)(x)
    if axes is not None:
        y = jnp.expand_dims(y, axis=axes)
    return y


class Gate(hk.Module):
    def __init__(self, size, name=None):
        super().__init__(name=name)
        self.size = size

    def __call__(self, x):
        return jax.nn.sigmoid(hk.Linear(self.size)(x))


class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, nb_heads: int = 4, activation=jax.nn.relu, name: str = "p"):
        super().__init__(name=name)
        self.out_size = out_size
        self.nb_heads = nb_heads
        self.activation = activation

    def messages(self, z, edge_fts):
        return project(z, 2 * self.out_size, 1) + project(edge_fts, 2 * self.out_size)

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        b, n, _ = node_fts.shape
        assert edge_fts.shape[:-1] == (b, n, n)
        z = jnp.concatenate([node_fts, hidden], axis=-1)
        msgs = self.messages(z, edge_fts)
        if self.activation is not None:
            msgs = self.activation(msgs)
        msgs = jnp.max(msgs + (adj_mat - 1.0)[..., None] * BIG, axis=1)
        outs = []
        for head in range(self.nb_heads):
            outs.append(hk.Linear(self.out_size // self.nb_heads)(msgs))
        ret = jnp.concatenate(outs, axis=-1)
        ret += hk.Linear(self.out_size)(z)
        ret: jnp.ndarray = ret * Gate(self.out_size)(z)
        return ret, None
"""


def draft_of(slot_name: str, source: str) -> Draft:
    slot = slots.SLOTS[slot_name]
    return Draft(clean(prepare(source, slot), slot), slot)


def request_for(*sources: str, samples: int = 1, index: int = 0) -> records.Request:
    parents = tuple(records.Parent(str(i), source, {}) for i, source in enumerate(sources))
    return records.Request(
        index=index, round=0, parents=parents, targets={}, temperatures=(1.0,) * samples
    )


def imported(source: str) -> set[str]:
    return {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
