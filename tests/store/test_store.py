"""The record keeps everything exactly, and refuses what is not its run in one clear line."""

import dataclasses
import multiprocessing
import os
import re
import sqlite3
import tempfile
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from evo_clrs.errors import UserError
from evo_clrs.records import (
    STAGES,
    Candidate,
    Cost,
    Evaluation,
    Facts,
    Parent,
    Proposal,
    Repair,
    Request,
)
from evo_clrs.store import Store

IDENTITY = {"problem": "clrs", "task": "bfs", "slot": "processor", "seed": 0, "max_error": 0.5}

INTEGERS = st.integers(0, 2**62)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates and NUL too
METRICS = st.dictionaries(TEXTS, st.floats() | st.integers(), max_size=3)


COSTS = st.builds(
    Cost,
    lm_prompt_tokens=INTEGERS,
    lm_completion_tokens=INTEGERS,
    **{f"{step}_seconds": st.floats() for step in ("lm", "trace", "compile", "train", "score")},
)
FACTS = st.builds(
    Facts,
    parameters=INTEGERS,
    live_parameters=INTEGERS,
    flops=st.floats(),
    bytes=st.floats(),
    peak_bytes=st.floats(),
    operations=INTEGERS,
    fingerprint=TEXTS,
)
EVALUATIONS = st.builds(
    Evaluation,
    status=st.sampled_from(("scored", "rejected")),
    stage=st.sampled_from(STAGES),
    reason=TEXTS,
    metrics=METRICS,
    facts=st.none() | FACTS,
    cost=COSTS,
    seeds=st.lists(st.integers(), max_size=3).map(tuple),
    budget=METRICS,
    reused_from=st.none() | st.just(0),
)
CANDIDATES = st.builds(
    Candidate,
    index=st.just(0),
    program=TEXTS,
    source=TEXTS,
    parents=st.lists(TEXTS, max_size=3).map(tuple),
    request=st.none() | st.just(7),
    sample=INTEGERS,
    proposer=TEXTS,
    edits=st.lists(TEXTS, max_size=3).map(tuple),
    name=TEXTS,
    evaluation=st.none() | EVALUATIONS,
)
REQUESTS = st.builds(
    Request,
    index=st.just(7),
    round=INTEGERS,
    parents=st.lists(
        st.builds(Parent, program=TEXTS, source=TEXTS, metrics=METRICS), max_size=3
    ).map(tuple),
    targets=METRICS,
    temperatures=st.lists(st.floats(), max_size=3).map(tuple),
    instruction=TEXTS,
)
PROPOSALS = st.lists(
    st.builds(
        Proposal,
        source=TEXTS,
        edits=st.lists(TEXTS, max_size=3).map(tuple),
        prompt_tokens=INTEGERS,
        completion_tokens=INTEGERS,
        seconds=st.floats(),
    ),
    max_size=4,
).map(tuple)


def same(read, written):
    """Equality under which NaN equals NaN: repr names every field and writes floats exactly."""
    return repr(read).replace("-0.0", "0.0") == repr(written).replace("-0.0", "0.0")


@hypothesis.given(REQUESTS, TEXTS, PROPOSALS, CANDIDATES)
@hypothesis.settings(max_examples=200, deadline=None)
def test_what_is_read_equals_what_was_written(request_, prompt, proposals, candidate):
    with Store.in_memory(IDENTITY) as store:
        store.record_request(request_, prompt)
        store.record_proposals(7, proposals)
        store.record_candidate(candidate)
        assert same(store.request(7), (request_, prompt))
        assert same(store.proposals(7), proposals)
        assert same(store.candidate(0), candidate)
        assert same(store.candidates(), [candidate])
        assert store.find_program(candidate.program) == 0


@hypothesis.given(EVALUATIONS)
@hypothesis.settings(max_examples=100, deadline=None)
def test_an_evaluation_recorded_later_is_the_candidates(evaluation):
    with Store.in_memory(IDENTITY) as store:
        store.record_candidate(Candidate(index=0, program="p", source="s"))
        assert store.candidate(0).evaluation is None
        store.record_evaluation(0, evaluation)
        assert same(store.candidate(0).evaluation, evaluation)


def test_equality_is_that_of_the_dataclasses(tmp_path):
    request_ = Request(0, 0, (Parent("a", "x = 1\n", {"num_params": 4800.0}),), {"e": 0.1}, (0.2,))
    proposals = (Proposal("y", ("gate",), 5, 6, 0.1 + 0.2), Proposal("z"))
    candidate = Candidate(0, "b", "y", ("a",), 0, 0, "grammar", ("gate",), "", None)
    with Store.open(tmp_path / "run", IDENTITY) as store:
        store.record_request(request_, "prompt")
        store.record_proposals(0, proposals)
        store.record_candidate(candidate)
    with Store.open(tmp_path / "run", IDENTITY) as store:
        assert store.identity == IDENTITY
        assert store.request(0) == (request_, "prompt")
        assert store.proposals(0) == proposals
        assert store.candidates() == [candidate]


def test_what_was_not_recorded_is_none():
    with Store.in_memory(IDENTITY) as store:
        assert store.request(0) is None
        assert store.proposals(0) is None
        assert store.candidate(0) is None
        assert store.find_program("p") is None
        store.record_request(Request(0, 0, (), {}, ()), "")
        assert store.proposals(0) is None  # asked, not answered
        store.record_proposals(0, ())
        assert store.proposals(0) == ()  # answered with nothing


def test_a_step_out_of_order_is_refused_and_leaves_nothing():
    with Store.in_memory(IDENTITY) as store:
        store.record_candidate(Candidate(0, "p", "s"))
        with pytest.raises(ValueError, match="candidate 0: recorded twice"):
            store.record_candidate(Candidate(0, "q", "other source"))
        with pytest.raises(ValueError, match="evaluation of candidate 3"):
            store.record_evaluation(3, Evaluation("scored", "scored"))
        with pytest.raises(ValueError, match="request 0 is unknown"):
            store.record_proposals(0, (Proposal("s"),))
        with pytest.raises(ValueError, match="stage: expected one of"):
            store.record_evaluation(0, Evaluation("rejected", "tired"))
        assert store.candidates() == [Candidate(0, "p", "s")]
        assert store._query("SELECT count(*) FROM texts") == [(1,)]


def test_a_text_is_kept_once():
    with Store.in_memory(IDENTITY) as store:
        for index in range(50):
            store.record_candidate(Candidate(index, "p", "source " * 100))
        assert store._query("SELECT count(*) FROM texts") == [(1,)]
        assert len(store.candidates()) == 50
        assert store.find_program("p") == 0


def test_events_and_seconds_add_up_over_resumes(tmp_path):
    for _ in range(3):
        with Store.open(tmp_path, IDENTITY) as store:
            store.record_event("start", {"layers": ["seccomp", "rlimits"], "pid": 7})
            store.record_event("test_read", {"n": 64})
            store.add_seconds(1.25)
    with Store.read(tmp_path) as store:
        assert store.wall_seconds() == 3.75
        assert [event.kind for event in store.events()] == ["start", "test_read"] * 3
        assert store.events("start")[0].data == {"layers": ["seccomp", "rlimits"], "pid": 7}


def test_reading_works_while_another_writes(tmp_path):
    with Store.open(tmp_path, IDENTITY) as writer:
        writer.record_candidate(Candidate(0, "p", "s"))
        with Store.read(tmp_path) as reader:
            assert len(reader.candidates()) == 1
            writer.record_candidate(Candidate(1, "q", "t"))
            assert len(reader.candidates()) == 1  # one moment
        with Store.read(tmp_path) as reader:
            assert len(reader.candidates()) == 2
            with pytest.raises(ValueError, match="opened to be read"):
                reader.record_event("note", {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "dfs"}, "task 'bfs', asked for 'dfs'"),
        ({"seed": 1}, "seed 0, asked for 1"),
        ({"max_error": 0.25}, "max_error 0.5, asked for 0.25"),
        ({"width": 8}, "width nothing, asked for 8"),
    ],
)
def test_a_folder_of_another_search_is_refused(tmp_path, change, words):
    Store.open(tmp_path, IDENTITY).close()
    with pytest.raises(UserError, match=re.escape(words)) as error:
        Store.open(tmp_path, {**IDENTITY, **change})
    assert "choose another --run or give the same flags" in str(error.value)
    assert "\n" not in str(error.value)
    Store.open(tmp_path, {**IDENTITY, **change}, may_differ=tuple(change)).close()
    Store.open(tmp_path, IDENTITY).close()  # and the folder was let go each time


def test_no_run_where_none_may_be_made(tmp_path):
    with pytest.raises(UserError, match="no run in"):
        Store.open(tmp_path / "none", IDENTITY, create=False)
    with pytest.raises(UserError, match="no run in"):
        Store.read(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("hello")
    with pytest.raises(UserError, match="not a folder"):
        Store.open(tmp_path / "run", IDENTITY)
    with pytest.raises(UserError, match="is a file"):
        Store.open(tmp_path / "run" / "deeper", IDENTITY)


def filled(folder):
    with Store.open(folder, IDENTITY) as store:
        for index in range(200):
            store.record_candidate(Candidate(index, f"p{index}", f"source {index} " * 40))
    return folder / "run.sqlite"


def spoil_header(path):
    path.write_bytes(b"all work and no play makes jack a dull boy. " * 200)


def spoil_middle(path):
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2] = os.urandom(len(data) // 2 - 4096)
    path.write_bytes(data)


def spoil_end(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("spoil", [spoil_header, spoil_middle, spoil_end])
@pytest.mark.parametrize("open_", [lambda path: Store.open(path, IDENTITY), Store.read])
def test_a_damaged_database_is_told(tmp_path, spoil, open_):
    spoil(filled(tmp_path))
    with pytest.raises(UserError, match="damaged|not a database") as error:
        open_(tmp_path)
    assert "restore a copy" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_lost_database_is_told(tmp_path):
    path = filled(tmp_path)
    (tmp_path / "summary.json").write_text("{}")
    os.truncate(path, 0)
    with pytest.raises(UserError, match="missing or empty"):
        Store.open(tmp_path, IDENTITY)


def test_another_programs_database_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "run.sqlite")
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(UserError, match="not the record of a run"):
        Store.open(tmp_path, IDENTITY)


def test_a_later_version_is_refused(tmp_path):
    connection = sqlite3.connect(filled(tmp_path))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserError, match="later version of evo_clrs"):
        Store.open(tmp_path, IDENTITY)


def hold(folder, ready, done):
    with Store.open(folder, IDENTITY):
        ready.set()
        done.wait(60)


def test_a_folder_open_in_another_process_is_refused(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    child = context.Process(target=hold, args=(tmp_path, ready, done))
    child.start()
    try:
        assert ready.wait(60)
        with pytest.raises(UserError, match=rf"open in another process \(pid {child.pid}\)"):
            Store.open(tmp_path, IDENTITY)
        Store.read(tmp_path).close()
    finally:
        done.set()
        child.join(60)
    Store.open(tmp_path, IDENTITY).close()


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path):
    with Store.open(tmp_path, IDENTITY) as store:
        store.record_candidate(Candidate(0, "p", "s"))
        pages = store._query("PRAGMA page_count")[0][0]
        store._query(f"PRAGMA max_page_count = {pages}")  # SQLite then answers SQLITE_FULL
        with pytest.raises(UserError, match="the disk is full; free some space"):
            store.record_candidate(Candidate(1, "q", "source " * 10_000))
        store._query("PRAGMA max_page_count = 1000000")
        store.record_candidate(Candidate(1, "q", "t"))
    with Store.open(tmp_path, IDENTITY) as store:
        assert [candidate.source for candidate in store.candidates()] == ["s", "t"]


def as_nobody(action):
    """Runs the action in a child without root's right to write everywhere; returns what it said."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            action()
            words = "no error"
        except BaseException as error:
            words = f"{type(error).__name__}: {error}"
        os.write(writer, words.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read()


def test_a_folder_that_cannot_be_written_is_told_but_can_be_read():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filled(folder)
        (folder / "run.lock").chmod(0o444)
        (folder / "run.sqlite").chmod(0o444)
        folder.chmod(0o555)
        words = as_nobody(lambda: Store.open(folder, IDENTITY))
        assert words.startswith("UserError:") and "make the folder writable" in words
        words = as_nobody(lambda: Store.open(folder / "new", IDENTITY))
        assert words.startswith("UserError:") and "make the folder writable" in words

        def read():
            with Store.read(folder) as store:
                assert len(store.candidates()) == 200

        assert as_nobody(read) == "no error"
        folder.chmod(0o755)


def test_every_field_of_a_record_is_kept():
    """A field added to a record must be added to the tables: this fails until it is."""
    fields = {kind: [f.name for f in dataclasses.fields(kind)] for kind in (Candidate, Evaluation)}
    assert len(fields[Candidate]) == 10
    assert len(fields[Evaluation]) == 9


def test_replies_and_repairs_are_read_back_as_they_were_told(tmp_path):
    proposals = (Proposal("x", (), 5, 6, 0.1, "Sure: x \ud800", "cut off"), Proposal("y"))
    repair = Repair(0, 1, 0, "line 1: \ud800", "again", Proposal("z", (), 7, 8, 0.2, "z!"), 0.5)
    with Store.open(tmp_path / "run", {}) as store:
        store.record_request(Request(0, 0, (), {}, (0.2, 0.2)), "prompt")
        store.record_proposals(0, proposals)
        store.record_repairs([repair])
        with pytest.raises(ValueError, match="recorded twice"):
            store.record_repairs([repair])
    with Store.read(tmp_path / "run") as store:
        assert store.proposals(0) == proposals
        assert store.repairs(0) == [repair]
        assert store.repairs(1) == []
        cost = store.cost()
        assert (cost.lm_prompt_tokens, cost.lm_completion_tokens) == (12, 14)
        assert cost.trace_seconds == 0.5


def test_a_record_of_version_2_is_read_and_brought_up(tmp_path):
    folder = tmp_path / "run"
    with Store.open(folder, {}) as store:
        store.record_request(Request(0, 0, (), {}, (0.2,)), "prompt")
        store.record_proposals(0, (Proposal("x", ("gate",), 1, 2, 0.5),))
    connection = sqlite3.connect(folder / "run.sqlite")
    for statement in (
        "DROP TABLE repairs",
        "ALTER TABLE proposals DROP COLUMN reply",
        "ALTER TABLE proposals DROP COLUMN note",
        "PRAGMA user_version = 2",
    ):
        connection.execute(statement)
    connection.close()
    for opened in (Store.read(folder), Store.open(folder, {}), Store.read(folder)):
        with opened as store:
            assert store.proposals(0) == (Proposal("x", ("gate",), 1, 2, 0.5),)
            assert store.repairs(0) == [] and store.cost().lm_seconds == 0.5
    with Store.open(folder, {}) as store:
        store.record_repairs([Repair(0, 0, 0, "why", "again", Proposal("z"))])
