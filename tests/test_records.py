"""The records that pass between rooms."""

import dataclasses

import pytest

from evo_clrs import records


def test_a_size_does_not_depend_on_the_order_of_its_dimensions():
    assert records.make_size(N=16, B=32) == records.make_size(B=32, N=16) == (("B", 32), ("N", 16))


def test_costs_add_field_by_field():
    total = records.Cost(lm_seconds=1.5, lm_prompt_tokens=3) + records.Cost(
        lm_prompt_tokens=4, train_seconds=2.0
    )
    assert total == records.Cost(lm_seconds=1.5, lm_prompt_tokens=7, train_seconds=2.0)


def test_a_request_asks_for_one_child_per_temperature():
    request = records.Request(0, 0, (), {}, temperatures=(0.2, 0.8, 1.0))
    assert request.samples == 3


def test_a_graph_finds_its_sizes_and_names_a_missing_one():
    small, large = records.make_size(N=4), records.make_size(N=16)
    entry = records.SizedGraph(small, b"i", b"a", ((4,),))
    graph = records.Graph("processor", (), (entry,), {})
    assert graph.at(small) is entry
    with pytest.raises(KeyError, match="16"):
        graph.at(large)


@pytest.mark.parametrize("status, scored", [("scored", True), ("rejected", False)])
def test_a_reused_score_counts_as_a_score(status, scored):
    assert records.Evaluation(status, "duplicate_graph", reused_from=0).scored is scored


def test_records_cannot_be_changed():
    candidate = records.Candidate(index=0, program="p", source="")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(candidate, "program", "q")  # noqa: B010
