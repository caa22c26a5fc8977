"""Training from scratch: it learns, and goes on where it was broken off."""

import dataclasses

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch  # noqa: E402

from evo_clrs import program, programs  # noqa: E402
from evo_clrs.proposers.pretraining import tokens, training  # noqa: E402
from evo_clrs.proposers.tuning import Example  # noqa: E402

TEXTS = [program.bare(source) for source in programs.load("triplet").values()]
TOKENIZER = tokens.learn(TEXTS, 300)
SCHEDULE = training.Schedule(
    width=32, layers=1, heads=2, inner=64, positions=512, epochs=2, batch_tokens=1500
)


def examples(epoch):
    rows = [TOKENIZER(text)["input_ids"][:150] for text in TEXTS]
    return [Example(tuple(row[:20]), tuple(row[20:])) for row in rows]


def trained(folder, tell=lambda progress: None, **changes):
    schedule = dataclasses.replace(SCHEDULE, **changes)
    model = training.build(TOKENIZER, schedule)
    done = training.train(model, examples, schedule, folder, tell, every=1)
    return model, done


def test_the_loss_falls(tmp_path):
    told: list[training.Progress] = []
    trained(tmp_path, told.append, epochs=12, batch_tokens=500)
    assert told[-1].loss < 0.7 * told[0].loss
    assert told[-1].tokens > told[0].tokens


def test_a_training_that_was_broken_off_ends_as_one_that_was_not(tmp_path):
    whole, done = trained(tmp_path / "whole")
    assert done
    sessions = 0
    while not done or not sessions:
        parts, done = trained(tmp_path / "parts", minutes=1e-9)
        sessions += 1
        assert sessions < 50
    assert sessions > 3  # each took one step
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_padding_is_not_learnt():
    model = training.build(TOKENIZER, SCHEDULE)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    row, longer = tuple(range(10, 30)), tuple(range(10, 60))
    alone = training._step(model, optimizer, [row])
    both = training._step(model, optimizer, [row, longer])
    other = training._step(model, optimizer, [longer])
    weights = len(row) - 1, len(longer) - 1
    expected = (alone * weights[0] + other * weights[1]) / sum(weights)
    assert both == pytest.approx(expected, rel=1e-2)  # bfloat16
