"""The kinds of edits, one small function for each.

An edit takes a draft and a generator, changes the draft's tree in place and says in a few words
what it did, or returns None where the program offers nothing to change; it may raise LookupError
where it finds out halfway. After either the tree is thrown away.
"""

import random
from collections.abc import Callable, Mapping

from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.edits.activation import activation
from evo_clrs.proposers.grammar.edits.attention import attention
from evo_clrs.proposers.grammar.edits.crossover import crossover
from evo_clrs.proposers.grammar.edits.depth import depth
from evo_clrs.proposers.grammar.edits.gate import gate
from evo_clrs.proposers.grammar.edits.heads import heads
from evo_clrs.proposers.grammar.edits.inputs import inputs
from evo_clrs.proposers.grammar.edits.norm import norm
from evo_clrs.proposers.grammar.edits.product import product
from evo_clrs.proposers.grammar.edits.reduction import reduction
from evo_clrs.proposers.grammar.edits.relation import relation
from evo_clrs.proposers.grammar.edits.residual import residual
from evo_clrs.proposers.grammar.edits.width import width

Edit = Callable[[Draft, random.Random], str | None]

KINDS: Mapping[str, Edit] = {
    "activation": activation,
    "reduction": reduction,
    "width": width,
    "depth": depth,
    "residual": residual,
    "gate": gate,
    "norm": norm,
    "attention": attention,
    "heads": heads,
    "product": product,
    "inputs": inputs,
    "relation": relation,
    "crossover": crossover,
}
