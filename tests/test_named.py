"""Programs are found by name, by file, and in a run."""

import pytest

from evo_clrs import named, program, programs
from evo_clrs.errors import UserError
from evo_clrs.records import Candidate, Evaluation
from evo_clrs.store import Store

GMPNN = programs.load("processor")["gmpnn"]
PGN = programs.load("processor")["pgn"]


@pytest.fixture
def run(tmp_path):
    """A run of two programs, the second one better."""
    folder = tmp_path / "mine"
    with Store.open(folder, {"problem": "clrs", "slot": "processor"}) as store:
        for index, (name, source) in enumerate((("gmpnn", GMPNN), ("pgn", PGN))):
            store.record_candidate(Candidate(index, program.identity(source), source, name=name))
        for index, fitness in enumerate((-20.0, -10.0)):
            store.record_evaluation(
                index, Evaluation("scored", "scored", metrics={"fitness": fitness})
            )
    return folder


@pytest.mark.parametrize(
    ("name", "slot"), [("triplet_gmpnn", "processor"), ("v1_standard", "triplet")]
)
def test_a_packaged_program(name, slot):
    found = named.find(name)
    assert (found.name, found.slot) == (name, slot)
    assert found.source == programs.load(slot)[name]


@pytest.mark.parametrize("slot", ["processor", "triplet"])
def test_a_file_is_of_the_slot_that_it_defines(tmp_path, slot):
    for name, source in programs.load(slot).items():
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        assert named.find(str(path)) == named.Program(name, slot, source)


def test_a_program_of_a_run(run):
    for which in ("#1", "1", "best", program.identity(PGN)):
        found = named.find(f"{run}:{which}")
        assert (found.name, found.slot, found.source) == ("mine:#1", "processor", PGN)
    assert named.find(f"{run}:#0").source == GMPNN


@pytest.mark.parametrize("which", ["#2", "worst", "", "#x", "0123456789abcdef"])
def test_a_program_that_a_run_has_not_is_told(run, which):
    with pytest.raises(UserError, match="has no program .*: give the index as #7"):
        named.find(f"{run}:{which}")


def test_a_run_of_another_slot_is_told(tmp_path):
    with Store.open(tmp_path / "cells", {"problem": "nasbench201", "slot": "cell"}):
        pass
    with pytest.raises(UserError, match="searches slot cell: the full protocol is for"):
        named.find(f"{tmp_path / 'cells'}:best")


@pytest.mark.parametrize(
    ("text", "message"),
    [("class Processor(", "line 1: not Python"), ("x = 1\n", "defines neither Processor")],
)
def test_a_file_without_a_program_is_told(tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        named.find(str(path))


def test_what_is_nothing_of_these_is_told_with_what_there_is(tmp_path):
    with pytest.raises(UserError, match="neither a file, nor RUN:PROGRAM .* triplet_gmpnn"):
        named.find("triplet_gmpn")
    with pytest.raises(UserError, match="no run in"):
        named.find(f"{tmp_path}:best")
