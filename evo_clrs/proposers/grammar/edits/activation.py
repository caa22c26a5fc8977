"""Activations: another one, one more, or another inside an MLP."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft, quote
from evo_clrs.proposers.grammar.rules import ACTIVATIONS
from evo_clrs.proposers.grammar.values import Layer

CHOICES = (
    "jax.nn.relu",
    "jax.nn.gelu",
    "jax.nn.silu",
    "jax.nn.elu",
    "jax.nn.leaky_relu",
    "jax.nn.softplus",
    "jnp.tanh",
)


def activation(draft: Draft, rng: random.Random) -> str | None:
    """Changes one activation function, or puts one behind a projection."""
    options = []
    inner = {id(site.node) for site in draft.inner_sites()}
    for node, statement in draft.expressions():
        if not isinstance(node, ast.Call):
            continue
        name = draft.called(node)
        if name in ACTIVATIONS and name != "jax.nn.sigmoid":
            options.append(("swap", node, statement))
        elif name == "hk.nets.MLP":
            options.append(("mlp", node, statement))
        elif isinstance(draft.value(node.func), Layer) and id(node) in inner:
            options.append(("add", node, statement))
    if not options:
        return None
    kind = rng.choice(sorted({option[0] for option in options}))
    _, node, statement = rng.choice([option for option in options if option[0] == kind])
    old = draft.called(node)
    new = rng.choice([name for name in CHOICES if name != old])
    short = new.rpartition(".")[2]
    if kind == "swap":
        node.func = quote(new)
        return f"{old.rpartition('.')[2]} becomes {short}"
    if kind == "mlp":
        new = rng.choice([name for name in CHOICES if name != "jax.nn.relu"])
        rest = [keyword for keyword in node.keywords if keyword.arg != "activation"]
        node.keywords = [*rest, ast.keyword(arg="activation", value=quote(new))]
        return f"an MLP takes {new.rpartition('.')[2]} inside"
    draft.substitute(statement, node, quote(f"{new}(X)", X=node))
    return f"{short} behind a projection"
