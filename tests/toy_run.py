"""Runs a search on the toy problem; killed by itself after some steps if told to.

    python tests/toy_run.py FOLDER STEPS [RUNG ...]

With STEPS above 0, the process sends itself SIGKILL in its STEPS-th transaction: odd ones before
they are committed, even ones right after.
"""

import contextlib
import io
import os
import signal
import sys
from pathlib import Path

from evo_clrs import experiment, strategies
from evo_clrs.jail.jail import Jail
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.report.progress import Progress
from evo_clrs.store import Store, selection
from tests.toy import ThreadExecutor, ToyProblem

OPTIONS = {
    "rounds": 2,
    "prompts_per_round": 2,
    "samples_per_prompt": 2,
    "survivors": 2,
    "max_error": 0.9,
}


def run(store: Store, proposer=None, problem=None, options=None, rungs=(), max_scored=0) -> None:
    """Runs the search to its end; with rungs, some of its trainings are stopped early."""
    problem = problem or ToyProblem()
    with Jail() as jail, ThreadExecutor(problem) as executor:
        experiment.Experiment(
            problem,
            strategies.make("evoprompting", options or OPTIONS, seed=1),
            proposer or Grammar(),
            executor,
            jail,
            store,
            Progress(stream=io.StringIO()),
            experiment.Settings(
                seed=1,
                finalists=2,
                selection_trainings=1,
                rungs=rungs,
                least_at_rung=2,
                max_scored=max_scored,
            ),
        ).run()


def outcome(store: Store) -> list[object]:
    """Returns all that a run came to, apart from times."""
    told: list[object] = []
    for candidate in store.candidates():
        evaluation = candidate.evaluation
        assert evaluation is not None
        told.append((candidate.index, candidate.program, candidate.source, candidate.parents))
        told.append((candidate.request, candidate.sample, candidate.edits, evaluation.stage))
        told.append((evaluation.reason, dict(evaluation.metrics), evaluation.reused_from))
        if candidate.request is not None:
            told.append(store.request(candidate.request))
    for selected in selection.read(store):
        told.append((selected.candidate.index, dict(selected.metrics), selected.seeds))
    return told


class _Dying(Store):
    """A store that dies in one of its transactions."""

    steps_left = 0

    @contextlib.contextmanager
    def _step(self, what):
        _Dying.steps_left -= 1
        dying = _Dying.steps_left == 0
        with super()._step(what) as connection:
            yield connection
            if dying and self._even:
                os.kill(os.getpid(), signal.SIGKILL)
        if dying:
            os.kill(os.getpid(), signal.SIGKILL)

    _even = False


def main() -> None:
    folder = Path(sys.argv[1])
    kind: type[Store] = Store
    rungs = tuple(map(int, sys.argv[3:]))
    if int(sys.argv[2]):
        kind, _Dying.steps_left = _Dying, int(sys.argv[2])
        _Dying._even = _Dying.steps_left % 2 == 0
    with kind.open(folder, ToyProblem.identity) as store:
        run(store, rungs=rungs)


if __name__ == "__main__":
    main()
