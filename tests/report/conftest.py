"""A made-up run of 70 programs, recorded through the store as a search would."""

import random

import pytest

from evo_clrs.records import Candidate, Cost, Evaluation, Facts, Parent, Proposal, Request
from evo_clrs.store import Store

IDENTITY = {
    "problem": "clrs",
    "task": "articulation_points",
    "slot": "processor",
    "strategy": "evoprompting",
    "lm": "grammar",
    "seed": 0,
    "rounds": 5,
    "hidden_size": 32,
    "jax": "0.10.2",
}
SEEDS = ("triplet_gmpnn", "gmpnn", "pgn", "mpnn", "gat", "deep_sets")
EDITS = ("activation", "reduction", "gate", "head", "crossover", "residual")
HOSTILE = '<script>alert("x")</script>\x1b[31m red \x1b]0;title\x07[bold]b[/bold]'

HEAD = '''"""Message passing with {reduction} over neighbours."""

import clrs
import haiku as hk
import jax
import jax.numpy as jnp


class Processor(clrs.processors.Processor):
    """One step of message passing."""

    def __init__(self, out_size: int, name: str = "evolved"):
        super().__init__(name=name)
        self.out_size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        z = jnp.concatenate([node_fts, hidden], axis=-1)  # [B, N, 2H]
        sources = jnp.expand_dims(hk.Linear(self.out_size)(z), 1)
        targets = jnp.expand_dims(hk.Linear(self.out_size)(z), 2)
        messages = sources + targets + hk.Linear(self.out_size)(edge_fts)
        messages = jax.nn.{activation}(messages)  # [B, N, N, H]
        gathered = jnp.{reduction}(messages * jnp.expand_dims(adj_mat, -1), axis=1)
        new = hk.Linear(self.out_size)(z) + hk.Linear(self.out_size)(gathered)
{gate}        return new, None
'''
GATE = """        gate = jax.nn.sigmoid(hk.Linear(self.out_size)(z))
        new = gate * new + (1 - gate) * hidden
"""


def source_of(draws, index):
    text = HEAD.format(
        reduction=draws.choice(("max", "sum", "mean")),
        activation=draws.choice(("relu", "gelu", "tanh", "silu")),
        gate=draws.choice(("", GATE)),
    )
    return text + f"# program {index}\n"


def outcome(draws, index, stage, parents=()):
    """Returns an evaluation that ends at this stage; children are near their parents."""
    parameters, error = int(draws.uniform(0.7, 1.3) * 60_000), draws.uniform(0.3, 0.5)
    if parents:
        before = [parent.evaluation.metrics for parent in parents]
        parameters = int(sum(m["num_params"] for m in before) / 2 * draws.uniform(0.84, 1.2))
        error = sum(m["val_error"] for m in before) / 2 * draws.uniform(0.8, 1.3)
    facts = Facts(parameters, parameters - 500, 2e9, 1e8, 3e7, 400, f"fingerprint{index}")
    cost = Cost(trace_seconds=draws.uniform(0.4, 0.9))
    if stage == "static":
        return Evaluation("rejected", stage, "imports os, which is not on the list", cost=Cost())
    if stage == "trace":
        reason = draws.choice(
            (HOSTILE, "dot_general requires contracting dimensions to have the same shape")
        )
        return Evaluation("rejected", stage, reason, cost=cost)
    if stage == "duplicate_text":
        return Evaluation("rejected", stage, "the same program as number 3", cost=Cost())
    if stage not in ("scored", "duplicate_graph"):
        reason = {
            "inert": "no live parameter differs from the slot left out",
            "over_budget": "one training step is predicted to take 5.1 GB, over 4.0 GB",
            "failed": "the loss is NaN at step 17",
        }[stage]
        return Evaluation("rejected", stage, reason, facts=facts, cost=cost)
    metrics = {
        "num_params": parameters,
        "val_accuracy": 1 - error,
        "val_error": error,
        "fitness": -parameters * error,
    }
    spent = cost + Cost(compile_seconds=draws.uniform(2, 4), train_seconds=draws.uniform(6, 12))
    spent += Cost(score_seconds=draws.uniform(0.3, 1.0))
    return Evaluation("scored", stage, "", metrics, facts, spent, (0, 1), {"steps": 200})


def fill(store):
    """Records six seeds, and four rounds of four requests with four replies each."""
    draws = random.Random(7)
    made = []
    store.record_event("start", {"layers": ["seccomp", "rlimits"], "device": "cpu", "cores": 2})
    for index, name in enumerate(SEEDS):
        evaluation = outcome(draws, index, "scored")
        made.append(
            Candidate(
                index,
                f"{index:064x}"[::-1],
                source_of(draws, index),
                name=name,
                sample=index,
                evaluation=evaluation,
            )
        )
        store.record_candidate(made[-1])
    stages = ("scored",) * 11 + (
        *("static", "duplicate_text", "trace", "trace", "inert", "over_budget"),
        *("duplicate_graph", "failed"),
    )
    for request in range(16):
        scored = [c for c in made if c.evaluation.scored]
        pool = sorted(scored, key=lambda c: -c.evaluation.metrics["fitness"])[:6]
        parents = draws.sample(pool, 2)
        store.record_request(
            Request(
                request,
                request // 4,
                tuple(Parent(p.program, p.source, p.evaluation.metrics) for p in parents),
                {"num_params": 30_000.0},
                (0.2,) * 4,
            ),
            f"prompt {request}",
        )
        sources = [source_of(draws, len(made) + n) for n in range(4)]
        edits = [tuple(draws.sample(EDITS, draws.choice((1, 1, 2)))) for _ in range(4)]
        replies = [
            Proposal(text, kinds, 900, 300, 0.05)
            for text, kinds in zip(sources, edits, strict=True)
        ]
        store.record_proposals(request, replies)
        for sample in range(4):
            index = len(made)
            candidate = Candidate(
                index,
                f"{index * 7919:064x}"[::-1],
                sources[sample],
                tuple(parent.program for parent in parents),
                request,
                sample,
                "grammar",
                edits[sample],
            )
            store.record_candidate(candidate)
            evaluation = outcome(draws, index, draws.choice(stages), parents)
            store.record_evaluation(index, evaluation)
            made.append(store.candidate(index))
    select(store, made)
    store.add_seconds(412.0)


def select(store, made):
    """Scores the seeds and the three fittest children on selection data."""
    scored = [c for c in made if c.evaluation.scored]
    best = sorted(scored, key=lambda c: -c.evaluation.metrics["fitness"])[:3]
    for candidate in [*made[: len(SEEDS)], *(c for c in best if c.request is not None)]:
        metrics = dict(candidate.evaluation.metrics)
        metrics["accuracy"] = metrics["val_accuracy"] - 0.02
        store.record_event(
            "selection",
            {"candidate": candidate.index, "metrics": metrics, "reason": "", "seeds": [5, 6]},
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of the made-up run."""
    folder = tmp_path_factory.mktemp("runs") / "ap-grammar-0"
    with Store.open(folder, IDENTITY) as store:
        fill(store)
    return folder
