"""A process that records steps is killed at many points; nothing it was told is kept is lost."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evo_clrs.records import Candidate, Cost, Evaluation, Facts, Proposal, Request
from evo_clrs.store import Store, summarise, write_best, write_summary

IDENTITY = {"problem": "clrs", "task": "bfs", "seed": 0}
KILLS = 30

# Records steps without end, going on where the record stops, and prints the number of each one.
CHILD = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from test_kill import IDENTITY, STEPS, record, steps_held
from evo_clrs.store import Store, write_best, write_summary

with Store.open(Path({folder!r}), IDENTITY) as store:
    step = steps_held(store)
    while True:
        record(store, step)
        step += 1
        print(step, flush=True)
        if step % 40 == 0:
            write_summary(store.folder, store)
            write_best(store.folder, store)
"""

STEPS = 4  # of each candidate: request, replies, candidate, evaluation


def made(index):
    """Returns everything that is recorded of the candidate with this index."""
    source = f"# program {index}\n" + "x = 1\n" * (index % 700)
    request = Request(index, index // 8, (), {"val_error": 0.1 / (index + 1)}, (0.2,))
    facts = Facts(index, index, 1e9 / 3, 2.0, 3.0, index, f"f{index}")
    evaluation = Evaluation(
        "scored", "scored", "", {"fitness": index / 7}, facts, Cost(train_seconds=0.1), (1, 2)
    )
    candidate = Candidate(index, f"p{index}", source, (), index, 0, "grammar")
    return request, (Proposal(source, ("gate",), seconds=0.01),), candidate, evaluation


def record(store, step):
    """Records one step."""
    index, part = divmod(step, STEPS)
    request, proposals, candidate, evaluation = made(index)
    if part == 0:
        store.record_request(request, f"prompt {index}")
    elif part == 1:
        store.record_proposals(index, proposals)
    elif part == 2:
        store.record_candidate(candidate)
    else:
        store.record_evaluation(index, evaluation)


def steps_held(store):
    """Returns how many steps the store holds, after checking that they are the first ones."""
    step = 0
    while True:
        index, part = divmod(step, STEPS)
        request, proposals, candidate, evaluation = made(index)
        held = store.candidate(index)
        there = (
            store.request(index) == (request, f"prompt {index}"),
            store.proposals(index) == proposals,
            held is not None and (held.program, held.source) == (f"p{index}", candidate.source),
            held is not None and held.evaluation == evaluation,
        )
        assert not any(there[part:]) or all(there[: part + 1])
        if not there[part]:
            assert store.candidate(index + 1) is None and store.request(index + 1) is None
            return step
        step += 1


def test_a_kill_at_any_point_leaves_every_step_that_was_told(tmp_path):
    folder = tmp_path / "run"
    path = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    code = CHILD.format(path=path, folder=str(folder))
    draws = random.Random(0)
    told = kill = 0
    while kill < KILLS or told <= 2 * KILLS:  # a busy machine records little between two kills
        assert kill < 10 * KILLS
        child = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if kill % 3:  # two in three while it records, the others while it starts
            child.stdout.readline()
        time.sleep(draws.uniform(0, 0.1))
        child.send_signal(signal.SIGKILL)
        output, errors = child.communicate()
        assert child.returncode == -signal.SIGKILL, errors.decode()
        lines = output.decode().splitlines(keepends=True)
        told = max([told, *(int(line) for line in lines if line.endswith("\n"))])
        kill += 1
        with Store.open(folder, IDENTITY) as store:
            assert store._query("PRAGMA integrity_check") == [("ok",)]
            assert store._query("PRAGMA foreign_key_check") == []
    with Store.open(folder, IDENTITY) as store:
        assert told <= steps_held(store)
        assert write_summary(folder, store) == summarise(store)
    names = {path.name for path in folder.iterdir()} - {"run.sqlite-wal", "run.sqlite-shm"}
    assert names <= {"run.sqlite", "run.lock", "summary.json", "best.py", ".best.py.new"}


@pytest.mark.parametrize("part", range(STEPS))
def test_an_interrupt_within_a_step_leaves_none_of_it(tmp_path, monkeypatch, part):
    with Store.open(tmp_path, IDENTITY) as store:
        for step in range(part):
            record(store, step)
        before = list(store._connection.iterdump())

        class Interrupting:
            """The connection, until the step would be kept."""

            in_transaction = property(lambda self: real.in_transaction)
            executemany = property(lambda self: real.executemany)

            def execute(self, statement, *values):
                if statement == "COMMIT":
                    raise KeyboardInterrupt
                return real.execute(statement, *values)

        real = store._connection
        with monkeypatch.context() as patch:
            patch.setattr(store, "_connection", Interrupting())
            with pytest.raises(KeyboardInterrupt):
                record(store, part)
        assert list(store._connection.iterdump()) == before
        record(store, part)
        assert write_best(tmp_path, store) is None or part == STEPS - 1
