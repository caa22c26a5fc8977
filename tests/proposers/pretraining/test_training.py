"""Training from scratch: it learns, and goes on where it was broken off."""

import dataclasses

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch  # noqa: E402

from evo_clrs import program, programs  # noqa: E402
from evo_clrs.proposers.pretraining import tokens, training  # noqa: E402
from evo_clrs.proposers.pretraining.examples import Branch, Tree  # noqa: E402

TEXTS = [program.bare(source) for source in programs.load("triplet").values()]
TOKENIZER = tokens.learn(TEXTS, 300)
SCHEDULE = training.Schedule(
    width=32,
    layers=1,
    heads=2,
    inner=64,
    positions=512,
    epochs=2,
    batch_tokens=1500,
    learning_rate=5e-3,
)


def examples(epoch):
    rows = [tuple(TOKENIZER(text)["input_ids"][:150]) for text in TEXTS]
    return [Tree(row[:20], (Branch(row[20:30], row[30:]),)) for row in rows]


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


TRUNK = tuple(range(10, 22))
BRANCHES = (Branch((30, 31), (40, 41, 42)), Branch((33,), (50, 51, 52, 53)))
TREE = Tree(TRUNK, BRANCHES)


def test_a_branch_is_read_as_if_it_stood_alone():
    """Logits of a tree against those of each prompt and reply by itself, without a mask."""
    model = training.build(TOKENIZER, SCHEDULE).eval()
    with torch.inference_mode():
        batch = training._batch([TREE, Tree(TRUNK[:3], BRANCHES[:1])], "cpu")
        (told, _) = training._logits(model, batch)
        start = len(TRUNK)
        for branch in BRANCHES:
            row = torch.tensor([[*TRUNK, *branch.asked, *branch.reply]])
            alone = model(input_ids=row).logits[0]
            count = row.shape[1] - len(TRUNK)
            torch.testing.assert_close(told[: len(TRUNK)], alone[: len(TRUNK)], rtol=0, atol=1e-5)
            end = start + count
            torch.testing.assert_close(told[start:end], alone[len(TRUNK) :], rtol=0, atol=1e-5)
            start = end


def test_replies_count_more_than_prompts_and_padding_not_at_all():
    batch = training._batch([TREE, Tree(TRUNK[:3], ())], "cpu")
    assert batch.weights.tolist() == [
        [0.0, *[0.25] * 11, 0.0, 0.25, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0],
        [0.0, 0.25, 0.25, *[0.0] * 19],
    ]


def test_the_loss_told_is_that_of_the_replies():
    model = training.build(TOKENIZER, SCHEDULE)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    rows = [[*TRUNK, *branch.asked, *branch.reply] for branch in BRANCHES]
    with torch.inference_mode():
        total = sum(
            torch.nn.functional.cross_entropy(
                model(input_ids=torch.tensor([row])).logits[0, -1 - len(branch.reply) : -1],
                torch.tensor(branch.reply),
                reduction="sum",
            )
            for row, branch in zip(rows, BRANCHES, strict=True)
        )
    told = training._step(model, optimizer, [TREE, Tree(TRUNK, BRANCHES[:1])])
    first = training._step(model, optimizer, [Tree(TRUNK, BRANCHES[:1])])
    assert told == pytest.approx((float(total) + 3 * first) / 10, rel=1e-2)  # bfloat16
