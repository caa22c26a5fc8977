"""Grammar of the processor slot."""

from evo_clrs.proposers.grammar.by_slot.base import SlotGrammar
from evo_clrs.proposers.grammar.edits import KINDS

GRAMMAR = SlotGrammar(
    edits=KINDS,
    weights={
        "activation": 0.7,
        "reduction": 1.0,
        "width": 0.7,
        "depth": 0.8,
        "residual": 0.9,
        "gate": 1.0,
        "norm": 0.8,
        "attention": 1.0,
        "heads": 1.0,
        "product": 1.0,
        "inputs": 1.4,
        "relation": 1.3,
        "crossover": 1.6,
    },
    title="Processor by edits",
    essential=("node_fts", "hidden"),
    sizes={"B": 1, "N": 16, "H": 128, "K": 8},
    # Triplet-GMPNN's named arrays hold 0.4 million.
    max_elements=1.5e6,
    state=("hidden", 0),
)
