"""What an attack is, and the honest programs that attacks hide in."""

import dataclasses

# Written into a guest's text when it runs: they differ from machine to machine.
CANARY_FILE, PARENT, HOME = "@CANARY_FILE@", "@PARENT@", "@HOME@"

# Ends of an attack besides the stages of a rejection: what it did stayed in its own child, and what
# came out is a function like any other, which trusted code trains and scores.
GRAPH = "graph"


@dataclasses.dataclass(frozen=True)
class Attack:
    """One hostile or broken program.

    Attributes:
      name: what it is called.
      tries: what it tries, in one line.
      source: the program.
      static: a regular expression found in the static gate's reason; None where it passes.
      ends: the stage it ends at with the static gate left out, or `GRAPH`.
      reason: a regular expression that is found in the reason of that end.
      endless: it runs until a limit: give it little.
      trained: it is trained, and ends there.
      slow: it takes long; left out of the short run.
    """

    name: str
    tries: str
    source: str
    static: str | None
    ends: str = "trace"
    reason: str = ""
    endless: bool = False
    trained: bool = False
    slow: bool = False


_OPENING = """import clrs
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
"""

_CLASS = """

class Processor(clrs.processors.Processor):
    def __init__(self, out_size, name="guest"):
        super().__init__(name=name)
        self.out_size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused):
"""

# Its weights are made by code, its bias is described.
HONEST = """z = jnp.concatenate([node_fts, hidden], axis=-1)
z = jax.nn.relu(hk.Linear(self.out_size, w_init=hk.initializers.Identity())(z))"""


def at_import(code: str) -> str:
    """Returns a processor that is honest but for what its module does when it is run."""
    return program(before=code)


def in_call(code: str) -> str:
    """Returns a processor whose call computes an honest `z`, and then runs this code."""
    return program(call=code)


def program(before: str = "", call: str = "") -> str:
    """Returns a processor with code before its class, and code in its call after `z` is known."""
    lines = f"{HONEST}\n{call.strip()}\nreturn z, None".splitlines()
    body = "\n".join(f"        {line}" if line else "" for line in lines)
    return f"{_OPENING}{before.strip()}\n{_CLASS}{body}\n"
