"""Programs for the tests of the jail."""

from evo_clrs.records import make_size

HEADER = '''"""A program of the tests."""

import clrs
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

'''

# Message passing as in Gilmer et al. (2017), https://arxiv.org/abs/1704.01212, with max pooling.
MPNN = HEADER + (
    """
class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, name: str = "mpnn"):
        super().__init__(name=name)
        self.out_size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        z = jnp.concatenate([node_fts, hidden], axis=-1)
        sent = hk.Linear(self.out_size)(z)[:, :, None] + hk.Linear(self.out_size)(z)[:, None]
        msgs = jax.nn.relu(sent + hk.Linear(self.out_size)(edge_fts))
        msgs = jnp.where(adj_mat[..., None] > 0, msgs, -1e6)
        out = hk.Linear(self.out_size)(z) + hk.Linear(self.out_size)(jnp.max(msgs, axis=1))
        return jax.nn.relu(out), None
"""
)

# Triplet messages as in Ibarz et al. (2022), https://arxiv.org/abs/2209.11142.
TRIPLET = HEADER + (
    """
def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    tri = hk.Linear(nb_triplet_fts)(z)[:, :, None, None]
    tri = tri + hk.Linear(nb_triplet_fts)(z)[:, None, :, None]
    tri = tri + hk.Linear(nb_triplet_fts)(edge_fts)[:, :, None]
    tri = tri + hk.Linear(nb_triplet_fts)(graph_fts)[:, None, None, None]
    return hk.Linear(out_size)(jnp.max(tri, axis=1))
"""
)

SIZES = tuple(make_size(B=2, N=n, H=4, K=3, R=2) for n in (3, 5))


def processor(body: str) -> str:
    """Returns a processor whose `__call__` has this body, of one or more unindented lines."""
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return f"""{HEADER}
class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, name: str = "test"):
        super().__init__(name=name)
        self.out_size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
{lines}"""


def line_of(source: str, text: str) -> int:
    """Returns the number of the line that holds this text."""
    return next(i for i, line in enumerate(source.splitlines(), 1) if text in line)
