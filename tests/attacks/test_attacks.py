"""Every attack, twice: the whole way, and straight into the jail as if the static gate were not.

Each ends in the rejection that it names, or in a graph that is only a graph. Whatever it tries, the
jail serves the next program, no process or file is left, and no canary is in the reply.
"""

import re
import time
from pathlib import Path

import pytest

from evo_clrs import programs
from evo_clrs.errors import Rejected
from evo_clrs.executors import Job, Placement, make
from evo_clrs.gates import static
from tests.attacks.attack import GRAPH, in_call
from tests.attacks.programs import (
    exhaustion,
    graphs,
    machinery,
    processes,
    replies,
    scores,
    secrets,
)

KINDS = {
    "secrets": secrets.ATTACKS,
    "processes": processes.ATTACKS,
    "exhaustion": exhaustion.ATTACKS,
    "machinery": machinery.ATTACKS,
    "replies": replies.ATTACKS,
    "graphs": graphs.ATTACKS,
    "scores": scores.ATTACKS,
}
ATTACKS = [
    pytest.param(kind, attack, id=f"{kind}-{attack.name}", marks=[pytest.mark.slow] * (attack.slow))
    for kind, attacks in KINDS.items()
    for attack in attacks
]
HONEST = programs.load("processor")["deep_sets"]
_SECONDS = 30.0  # the longest wall time that a guest has, and what its burial takes
_GROWTH = 64 << 10  # KiB that the warm process may grow by over all attacks


def _guest(attack, planted) -> str:
    text = attack.source
    for placeholder, value in planted.items():
        text = text.replace(placeholder, value)
    return text


def test_there_are_many_attacks_and_each_says_what_it_tries():
    attacks = [attack for attacks in KINDS.values() for attack in attacks]
    names = [attack.name for attack in attacks]
    assert len(names) == len(set(names)) >= 80
    assert all(attack.tries and "\n" not in attack.tries for attack in attacks)


@pytest.mark.parametrize("kind, attack", ATTACKS)
def test_the_static_gate(kind, attack, problem, planted, ends):
    source = _guest(attack, planted)
    if attack.static is None:
        static.check(source, problem.slot)
        ends[kind, "static gate", "passes"] += 1
        return
    with pytest.raises(Rejected) as caught:
        static.check(source, problem.slot)
    ends[kind, "static gate", caught.value.stage] += 1
    assert caught.value.stage == "static"
    assert re.search(attack.static, caught.value.reason)
    assert caught.value.reason.isprintable()


@pytest.mark.parametrize("kind, attack", ATTACKS)
def test_without_the_static_gate(kind, attack, problem, planted, jail, ends):
    jail.give(little=attack.endless)
    pid, started = jail.warm, time.monotonic()
    try:
        graph = jail.trace(problem.slot, _guest(attack, planted), problem.sizes)
        problem.examine(graph)
        if attack.trained:
            problem.evaluate(graph, "validation", problem.training_seeds)
        end, reason = GRAPH, ""
    except Rejected as rejection:
        end, reason = rejection.stage, rejection.reason
    taken = time.monotonic() - started
    ends[kind, "jail alone", end] += 1
    assert end == attack.ends, reason
    assert re.search(attack.reason, reason), reason
    assert reason.isprintable() and len(reason) <= 400
    assert taken < _SECONDS
    assert jail.left_behind() == []
    assert jail.warm == pid, "the warm process was lost"


def test_the_jail_serves_honest_programs_after_all_of_that(problem, jail):
    jail.give(little=False)
    jail.trace(problem.slot, HONEST, problem.sizes)
    before = jail.memory()
    graph = jail.trace(problem.slot, HONEST, problem.sizes)
    assert problem.examine(graph).parameters > 0
    assert jail.memory() - before < _GROWTH


# It passes the estimate, and takes minutes for a few steps of training all the same.
SLOW = in_call(
    "x = jnp.tile(jax.lax.stop_gradient(z), (1, 1, 64))\n"
    "turn = lambda i, c: jnp.sort(jnp.sin(c * i), axis=-1)\n"
    "z = z + jax.lax.fori_loop(0, 40000, turn, x)[:, :, :8]"
)


@pytest.mark.slow
def test_a_graph_that_trains_for_ever_costs_one_candidate(problem, jail):
    jail.give(little=False)
    graphs_ = [jail.trace(problem.slot, source, problem.sizes) for source in (SLOW, HONEST)]
    problem.examine(graphs_[0])
    placement = Placement(workers=1, platform="cpu", job_seconds=60.0)
    with make("local", problem, placement) as executor:
        jobs = [executor.submit(Job(graph, "validation", (0,))) for graph in graphs_]
        endless, honest = (job.result(timeout=400) for job in jobs)
        worker = executor._running[0].pid
    assert (endless.stage, endless.reason) == ("failed", "training took more than 60 s")
    assert honest.scored
    assert not Path(f"/proc/{worker}").exists()
