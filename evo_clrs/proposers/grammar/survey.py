"""Proposals as a search would ask for them, to measure the grammar by."""

from collections.abc import Iterator, Mapping

from evo_clrs import randomness, records, slots
from evo_clrs.proposers.grammar.proposer import Grammar

_POOL = 40  # youngest children that may be parents
_DEEPEST = 5  # generations from a seed


def survey_proposals(
    slot: slots.Slot, seeds: Mapping[str, str], count: int, seed: int
) -> Iterator[tuple[tuple[str, ...], records.Proposal]]:
    """Yields proposals with the sources of their two parents.

    Parents are drawn like those of a search: each is a seed or, as often, a child proposed
    earlier, at most five generations from the seeds.

    Args:
      slot: what the programs fill.
      seeds: programs to start from, source text by name.
      count: how many proposals.
      seed: equal seeds give equal proposals.
    """
    proposer = Grammar()
    children: list[tuple[str, int]] = []
    for index in range(count):
        rng = randomness.generator(seed, "survey", index)
        parents = []
        for _ in range(2):
            if children and rng.random() < 0.5:
                parents.append(rng.choice(children[-_POOL:]))
            else:
                parents.append((rng.choice(list(seeds.values())), 0))
        request = records.Request(
            index=index,
            round=0,
            parents=tuple(
                records.Parent(str(i), source, {}) for i, (source, _) in enumerate(parents)
            ),
            targets={},
            temperatures=(1.0,),
        )
        (proposal,) = proposer.propose(request, slot, "", seed)
        generation = 1 + max(depth for _, depth in parents)
        if generation < _DEEPEST and proposal.source:
            children.append((proposal.source, generation))
        yield tuple(source for source, _ in parents), proposal
