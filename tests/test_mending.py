"""Refused replies that go back once: what is asked, kept, counted and paid."""

import pytest

from evo_clrs import proposers
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.records import Proposal
from evo_clrs.report import analysis, tables
from evo_clrs.store import Store, summarise
from tests import table_run
from tests.toy_run import outcome


class Clumsy(Grammar):
    """Of three replies one is no cell and one holds no program; each is mended when told."""

    name = "clumsy"

    def __init__(self, stubborn=()):
        self.stubborn = stubborn
        self.refusals = []

    def propose(self, request, slot, prompt, seed):
        whole, broken, empty = super().propose(request, slot, prompt, seed)
        broken = Proposal(broken.source.replace("return", "retrun"), (), 10, 5, 1.0)
        return [whole, broken, Proposal("", (), 10, 5, 1.0, "I cannot.", "the reply holds no code")]

    def repair(self, refusals, slot, seed):
        self.refusals += refusals
        return [self._mended(refusal, slot, seed) for refusal in refusals]

    def _mended(self, refusal, slot, seed):
        if refusal.sample in self.stubborn:
            return Proposal("nothing better", (), 10, 5, 1.0)
        proposals = super().propose(refusal.request, slot, "", seed)
        return Proposal(proposals[refusal.sample].source, (), 10, 5, 1.0)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return table_run.make_problem(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def mended(problem, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mended") / "run"
    proposer = Clumsy()
    table_run.run(folder, problem, proposer, repairs=1)
    return folder, proposer


def counts(folder):
    with Store.read(folder) as store:
        return summarise(store)["counts"]


def test_without_repairs_the_replies_are_lost(problem, tmp_path):
    proposer = Clumsy()
    table_run.run(tmp_path / "run", problem, proposer)
    assert not proposer.refusals
    assert counts(tmp_path / "run")["rejected_static"] == 12


def test_with_repairs_they_are_saved_and_each_proposal_is_counted_once(mended):
    folder, proposer = mended
    found = counts(folder)
    assert found["rejected_static"] == 0
    assert found["proposed"] == sum(found.values()) - found["proposed"] == 18
    assert len(proposer.refusals) == 12


def test_what_comes_of_it_is_what_sound_replies_would_have_given(mended, problem, tmp_path):
    class Sound(Grammar):
        name = "clumsy"  # the purpose of its draws

    table_run.run(tmp_path / "run", problem, Sound())
    with Store.read(mended[0]) as first, Store.read(tmp_path / "run") as second:
        assert [c.program for c in first.candidates()] == [c.program for c in second.candidates()]


def test_a_refusal_tells_the_reason_and_shows_the_reply(mended):
    first, second = mended[1].refusals[:2]
    assert "retrun" in first.prompt and "# The program above was refused: line" in first.prompt
    assert first.programs[0].count("retrun") == 1 and len(first.programs) == 3
    assert "# The program above was refused: the reply holds no code" in second.prompt


def test_the_record_holds_reply_reason_and_answer_and_what_they_cost(mended):
    with Store.read(mended[0]) as store:
        first, second = store.repairs(0)
        assert (first.sample, second.sample) == (1, 2)
        assert second.reason == "the reply holds no code"
        assert store.proposals(0)[2].reply == "I cannot."
        assert store.candidate(5 + 2 - 1) is not None
        assert store.cost().lm_prompt_tokens == 12 * 10 + 12 * 10


def test_the_report_tells_how_many_were_saved(mended, problem, tmp_path):
    with Store.read(mended[0]) as store:
        assert analysis.repairs(store, store.candidates()) == analysis.Repairs(12, 12, 12)
        assert "Refused replies that were sent back" in [t.title for t in tables.tables(store)]
    table_run.run(tmp_path / "run", problem, Clumsy(stubborn=(1,)), repairs=1)
    with Store.read(tmp_path / "run") as store:
        assert analysis.repairs(store, store.candidates()) == analysis.Repairs(12, 6, 6)


def test_a_reply_goes_back_as_often_as_asked_and_no_more(problem, tmp_path):
    stubborn = Clumsy(stubborn=(1,))
    table_run.run(tmp_path / "run", problem, stubborn, {"rounds": 1}, repairs=2)
    attempts = [(refusal.sample, refusal.attempt) for refusal in stubborn.refusals[:3]]
    assert attempts == [(1, 0), (2, 0), (1, 1)]
    assert counts(tmp_path / "run")["rejected_static"] == 2


def test_a_finished_run_sends_nothing_back_again(mended, problem):
    proposer = Clumsy()
    with Store.read(mended[0]) as store:
        before = outcome(store)
    table_run.run(mended[0], problem, proposer, repairs=1)
    with Store.read(mended[0]) as store:
        assert outcome(store) == before
    assert not proposer.refusals


def test_a_run_that_breaks_while_it_mends_goes_on_as_if_nothing_had_been(mended, problem, tmp_path):
    class Breaking(Clumsy):
        left = 3

        def repair(self, refusals, slot, seed):
            self.left -= 1
            if not self.left:
                raise OSError(111, "Connection refused")
            return super().repair(refusals, slot, seed)

    with pytest.raises(OSError, match="refused"):
        table_run.run(tmp_path / "run", problem, Breaking(), repairs=1)
    table_run.run(tmp_path / "run", problem, Clumsy(), repairs=1)
    with Store.read(mended[0]) as first, Store.read(tmp_path / "run") as second:
        assert outcome(first) == outcome(second)


def test_a_replay_mends_as_the_run_did(mended, problem, tmp_path):
    replay = proposers.make(f"replay:{mended[0]}")
    table_run.run(tmp_path / "run", problem, replay, repairs=1)
    with Store.read(mended[0]) as first, Store.read(tmp_path / "run") as second:
        assert outcome(first) == outcome(second)
        assert second.cost().lm_prompt_tokens == 0
