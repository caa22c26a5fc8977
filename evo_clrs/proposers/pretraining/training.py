"""Trains a small language model from scratch; what was done is kept and gone on from.

The prompts of a family begin alike and are read once: a row of a batch is a tree (`examples.Tree`)
whose branches stand one after another and each see the trunk and themselves alone.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from evo_clrs import randomness
from evo_clrs.proposers.pretraining.examples import Branch, Tree

_CHECKPOINT = "checkpoint.pt"
_PADDING = -1  # in the place of a branch's number; the trunk has 0
_PROMPT_WEIGHT = 0.25  # of a token of a prompt, where one of a reply has 1


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How large a model is and how it is trained.

    Attributes:
      width: of its vectors.
      layers: how many.
      heads: of attention, in each layer.
      inner: width between the two matrices of a layer's MLP.
      positions: tokens that it can take.
      epochs: times that every family is seen, with other numbers each time.
      batch_tokens: tokens of a batch, padding included.
      learning_rate: highest one; it rises linearly and falls along a half cosine.
      seed: of weights, order and numbers.
      minutes: stop for this time after so long, 0 for never; what was done is kept.
    """

    width: int = 256
    layers: int = 4
    heads: int = 8
    inner: int = 768
    positions: int = 2048
    epochs: int = 3
    batch_tokens: int = 4096
    learning_rate: float = 1.5e-3
    seed: int = 0
    minutes: float = 0.0


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
      epoch: number of the epoch.
      batch: batches of it that are done.
      batches: of the epoch.
      tokens: learnt from, in all.
      loss: of the last batch, in nats a token.
    """

    epoch: int
    batch: int
    batches: int
    tokens: int
    loss: float


@dataclasses.dataclass(frozen=True)
class _Batch:
    """Trees as arrays, all [B, L].

    Attributes:
      tokens: what is read.
      positions: of each token in its own prompt and reply, int64.
      branches: number of the branch of each token, 0 for the trunk, `_PADDING` for none.
      weights: of the prediction of each token, 0 for those that are not learnt.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    branches: torch.Tensor
    weights: torch.Tensor


def build(tokenizer: Any, schedule: Schedule) -> Any:
    """Returns an untrained GPT-NeoX model (a decoder with rotary positions)."""
    torch.manual_seed(schedule.seed)
    end = tokenizer.eos_token_id
    config = transformers.GPTNeoXConfig(
        vocab_size=len(tokenizer),
        hidden_size=schedule.width,
        intermediate_size=schedule.inner,
        num_hidden_layers=schedule.layers,
        num_attention_heads=schedule.heads,
        max_position_embeddings=schedule.positions,
        rope_parameters={"rope_type": "default", "partial_rotary_factor": 0.5, "rope_theta": 1e4},
        tie_word_embeddings=True,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    return transformers.GPTNeoXForCausalLM(config)


def train(
    model: Any,
    examples: Callable[[int], Sequence[Tree]],
    schedule: Schedule,
    folder: Path,
    tell: Callable[[Progress], None],
    every: int = 100,
) -> bool:
    """Trains a model; returns whether it came to the end.

    Args:
      model: what `build` returned.
      examples: gives those of an epoch.
      schedule: how.
      folder: where a checkpoint is kept, whole or not at all.
      tell: is told after every few batches.
      every: batches between two checkpoints.
    """
    started = time.monotonic()
    optimizer = torch.optim.AdamW(
        model.parameters(), schedule.learning_rate, betas=(0.9, 0.95), weight_decay=0.05
    )
    first, skip, tokens = _restore(model, optimizer, folder)
    model.train()
    for epoch in range(first, schedule.epochs):
        batches = _batches(examples(epoch), schedule, epoch)
        for number in range(skip, len(batches)):
            share = (epoch + number / len(batches)) / schedule.epochs
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * _warmth(share)
            loss = _step(model, optimizer, batches[number])
            tokens += sum(map(len, batches[number]))
            if (number + 1) % 10 == 0 or number + 1 == len(batches):
                tell(Progress(epoch, number + 1, len(batches), tokens, loss))
            late = schedule.minutes and time.monotonic() - started > 60 * schedule.minutes
            if (number + 1) % every == 0 or late:
                _keep(model, optimizer, (epoch, number + 1, tokens), folder)
            if late:
                return False
        skip = 0
    _keep(model, optimizer, (schedule.epochs, 0, tokens), folder)
    return True


def _step(model: Any, optimizer: torch.optim.Optimizer, trees: Sequence[Tree]) -> float:
    """Takes one step on a batch; returns the loss of its replies, in nats a token."""
    batch = _batch(trees, model.device)
    with torch.autocast(model.device.type, torch.bfloat16):
        logits = _logits(model, batch)
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), batch.tokens[:, 1:].flatten(), reduction="none"
    )
    weights = batch.weights[:, 1:].flatten()
    optimizer.zero_grad()
    ((losses * weights).sum() / weights.sum()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(losses[weights == 1].mean().detach())


def _batch(trees: Sequence[Tree], device: Any) -> _Batch:
    """Returns trees as arrays, those that are shorter padded at their ends."""
    shape = len(trees), max(map(len, trees))
    tokens, positions = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    branches, weights = torch.full(shape, _PADDING), torch.zeros(shape)
    for row, tree in enumerate(trees):
        trunk = len(tree.trunk)
        start = 0
        for number, branch in enumerate([Branch(tree.trunk, ()), *tree.branches]):
            asked, reply = branch.asked, branch.reply
            count = len(asked) + len(reply)
            place = slice(start, start + count)
            tokens[row, place] = torch.tensor([*asked, *reply])
            positions[row, place] = torch.arange(count) + (trunk if number else 0)
            branches[row, place] = number
            weights[row, place] = _PROMPT_WEIGHT
            weights[row, start + len(asked) : start + count] = 1.0
            weights[row, start] = 0.0  # what stands before is another branch, or nothing
            start += count
    return _Batch(*(part.to(device) for part in (tokens, positions, branches, weights)))


def _logits(model: Any, batch: _Batch) -> torch.Tensor:
    """Returns the logits after each token, [B, L, vocabulary]."""
    length = batch.tokens.shape[1]
    behind = torch.ones((length, length), dtype=torch.bool, device=batch.tokens.device).tril()
    own = batch.branches[:, :, None] == batch.branches[:, None, :]
    seen = behind & (own | (batch.branches == 0)[:, None, :])
    told = model(input_ids=batch.tokens, attention_mask=seen[:, None], position_ids=batch.positions)
    return told.logits


def _batches(examples: Sequence[Tree], schedule: Schedule, epoch: int) -> list[list[Tree]]:
    """Returns an epoch's examples in batches of like length, in random order."""
    rng = randomness.generator(schedule.seed, "batches", epoch)
    rows = sorted(examples, key=lambda row: len(row) * rng.uniform(0.95, 1.05))
    batches: list[list[Tree]] = [[]]
    for row in rows:
        longest = max(len(row), *map(len, batches[-1]), 0)
        if batches[-1] and longest * (len(batches[-1]) + 1) > schedule.batch_tokens:
            batches.append([])
        batches[-1].append(row)
    rng.shuffle(batches)
    return batches


def _warmth(share: float) -> float:
    """Returns the learning rate as a share of the highest, after a share of the training."""
    warming = 0.03
    if share < warming:
        return max(share, 1e-3) / warming
    falling = torch.pi * (share - warming) / (1 - warming)
    return 0.02 + 0.98 * float(1 + torch.cos(torch.tensor(falling))) / 2


def _keep(model: Any, optimizer: Any, place: tuple[int, int, int], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{_CHECKPOINT}.new"
    kept = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "place": place}
    torch.save(kept, new)
    os.replace(new, folder / _CHECKPOINT)


def _restore(model: Any, optimizer: Any, folder: Path) -> tuple[int, int, int]:
    """Takes up a checkpoint; returns its epoch, the batches done of it, and tokens in all."""
    path = folder / _CHECKPOINT
    if not path.exists():
        return 0, 0, 0
    kept = torch.load(path, weights_only=True)
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    epoch, batch, tokens = kept["place"]
    return epoch, batch, tokens
