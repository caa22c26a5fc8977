"""What the grammar does for each slot: one file a slot, one line here."""

from collections.abc import Mapping

from evo_clrs.errors import UserError
from evo_clrs.proposers.grammar.by_slot import network, processor, triplet
from evo_clrs.proposers.grammar.by_slot.base import SlotGrammar

GRAMMARS: Mapping[str, SlotGrammar] = {
    "processor": processor.GRAMMAR,
    "triplet": triplet.GRAMMAR,
    "network": network.GRAMMAR,
}


def grammar_for(slot_name: str) -> SlotGrammar:
    """Returns the grammar of a slot; raises UserError if it has none."""
    if slot_name not in GRAMMARS:
        raise UserError(f"the grammar proposer has no grammar for slot {slot_name!r}")
    return GRAMMARS[slot_name]
