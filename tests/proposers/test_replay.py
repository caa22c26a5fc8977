"""A finished run again, by its recorded replies."""

import json

import pytest

from evo_clrs import proposers
from evo_clrs.errors import UserError
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.records import Proposal
from evo_clrs.store import Store
from tests import table_run
from tests.toy_run import outcome


class Metered(Grammar):
    """The grammar, as if it took tokens and time, with a copy of each reply."""

    name = "metered"

    def propose(self, request, slot, prompt, seed):
        return [
            Proposal(proposal.source, (), 1000, 50, 2.5, f"Sure!\n{proposal.source}", "a note")
            for proposal in super().propose(request, slot, prompt, seed)
        ]


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return table_run.make_problem(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def finished(problem, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    table_run.run(folder, problem, Metered())
    return folder


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_replay_ends_with_the_same_programs_and_asks_nobody(problem, finished, tmp_path):
    table_run.run(tmp_path / "run", problem, proposers.make(f"replay:{finished}"))
    with Store.read(finished) as first, Store.read(tmp_path / "run") as second:
        assert outcome(first) == outcome(second)
        assert second.proposals(0)[0].reply == first.proposals(0)[0].reply
    before, after = summary(finished), summary(tmp_path / "run")
    assert after["best"] == before["best"] and after["counts"] == before["counts"]
    assert before["ledger"]["lm_seconds"] == 18 * 2.5
    assert after["ledger"]["lm_seconds"] < 1
    assert after["ledger"]["lm_prompt_tokens"] == 0


def test_a_replay_can_be_replayed(problem, finished, tmp_path):
    table_run.run(tmp_path / "one", problem, proposers.make(f"replay:{finished}"))
    table_run.run(tmp_path / "two", problem, proposers.make(f"replay:{tmp_path / 'one'}"))
    assert summary(tmp_path / "two")["best"] == summary(finished)["best"]


def test_other_flags_are_told_where_they_matter_first(problem, finished, tmp_path):
    replay = proposers.make(f"replay:{finished}")
    with pytest.raises(UserError, match="request 0 of .* differs in its temperatures: repeat"):
        table_run.run(tmp_path / "run", problem, replay, {"samples_per_prompt": 2})


def test_a_replay_ends_where_the_run_ended(problem, finished, tmp_path):
    replay = proposers.make(f"replay:{finished}")
    with pytest.raises(UserError, match="has no replies to request 6: it did not go on so far"):
        table_run.run(tmp_path / "run", problem, replay, {"rounds": 4})


@pytest.mark.parametrize(
    ("name", "message"),
    [("replay", "needs the folder of a run"), ("replay:/no/such", "no run in /no/such")],
)
def test_a_run_that_is_not_there_is_told(name, message):
    with pytest.raises(UserError, match=message):
        proposers.make(name)
