"""Grammar of the triplet slot."""

import dataclasses

from evo_clrs.proposers.grammar.by_slot import processor

GRAMMAR = dataclasses.replace(
    processor.GRAMMAR,
    title="Messages for pairs by edits",
    essential=("z", "edge_fts"),
    state=None,
)
