"""When the loop lets a proposer learn, and from what."""

import pytest

from evo_clrs.asking import Asking
from evo_clrs.errors import UserError
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.records import Candidate, Proposal, Repair, Request
from evo_clrs.report.progress import Progress
from evo_clrs.store import Store
from tests import table_run


class Learning(Grammar):
    """The grammar, as if it learnt from what it is told."""

    tunes = True

    def __init__(self):
        self.told = []

    def tune(self, step, lessons, slot, seed):
        self.told.append((step, list(lessons)))


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return table_run.make_problem(tmp_path_factory.mktemp("table"))


def test_each_round_is_learnt_from_with_its_prompts_and_again_when_resumed(problem, tmp_path):
    first, resumed = Learning(), Learning()
    for proposer in (first, resumed):
        table_run.run(tmp_path / "run", problem, proposer, {"tuning_children": "all"})
    assert [step for step, _ in first.told] == [1, 2, 3]
    assert first.told[0][1] and first.told[1][1]
    assert first.told[2][1] == []  # nothing is tuned when the search is over
    assert resumed.told == first.told
    with Store.read(tmp_path / "run") as store:
        asked = {store.request(index)[1] for index in (0, 1)}
        written = {c.source for c in store.candidates() if c.request in (0, 1)}
    assert {lesson.prompt for lesson in first.told[0][1]} <= asked
    assert {lesson.source for lesson in first.told[0][1]} <= written
    for lesson in first.told[0][1]:
        assert len(lesson.counts) == len(lesson.parents) + 1
        assert min(lesson.counts) > 0


def test_a_mended_reply_is_learnt_from_as_it_was_in_the_end(problem, tmp_path):
    request = Request(0, 0, (), {}, (0.8, 0.8))
    replies = [Proposal("a", reply="# Program 1\n# as it was"), Proposal("b", reply="# Program 1")]
    mended = Proposal("c", reply="# Program 1\n# mended\nand more")
    learning = Learning()
    with Store.open(tmp_path / "run", {}) as store:
        store.record_request(request, "asked")
        store.record_proposals(0, replies)
        store.record_repairs([Repair(0, 1, 0, "line 1: refused", "once more", mended)])
        asking = Asking(problem, learning, None, 0, None, store, Progress(0), 0)
        children = [
            Candidate(n, f"id {n}", source, request=0, sample=n)
            for n, source in [(0, "a"), (1, "c")]
        ]
        asking.tune(1, children)
    assert [lesson.changes for lesson in learning.told[0][1]] == [("as it was",), ("mended",)]


def test_it_goes_by_rounds_only(problem, tmp_path):
    with pytest.raises(UserError, match="--tune_lm goes by rounds: leave out --schedule=steady"):
        table_run.run(tmp_path / "run", problem, Learning(), schedule="steady")
