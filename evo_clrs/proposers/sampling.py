"""Samples of a causal language model: one prompt, many completions, each its own draw.

A prompt is read once and its cache repeated for all samples. Each token takes one uniform number of
the sample's own generator, by inverting the distribution, so that a sample depends on its seed and
temperature and not on how many others are drawn beside it, or which of them have ended. What is
left of the batch is rounding: samples are exactly repeatable in batches of equal make-up.
"""

import dataclasses
import inspect
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from evo_clrs.proposers import growing

_TAIL = 8  # tokens looked at before the whole text is


@dataclasses.dataclass(frozen=True)
class Draw:
    """How one sample is drawn.

    Attributes:
      temperature: of its distribution; 0 takes the likeliest token.
      generator: gives it one number for each token.
    """

    temperature: float
    generator: random.Random


class Guide(Protocol):
    """Says which tokens may follow a text."""

    def admits(self, text: str, token: int) -> bool:
        """Whether a token may follow."""
        ...


@dataclasses.dataclass(frozen=True)
class Sample:
    """One completion.

    Attributes:
      text: what was written, without the token that ends it.
      tokens: how many tokens were written.
      ended: whether it came to its end; false where it was cut off.
    """

    text: str
    tokens: int
    ended: bool


@torch.inference_mode()
def sample(
    model: Any,
    tokenizer: Any,
    prompt: Sequence[int],
    draws: Sequence[Draw],
    max_new_tokens: int,
    stop_tokens: frozenset[int],
    ended: Callable[[str], bool],
    soft_prompt: torch.Tensor | None = None,
    guide: Guide | None = None,
) -> list[Sample]:
    """Returns one completion for each draw, in order.

    Args:
      model: a causal model of transformers.
      tokenizer: its tokenizer.
      prompt: the tokens to go on from.
      draws: how each completion is drawn.
      max_new_tokens: tokens at most; a completion that has not ended by then is cut off.
      stop_tokens: tokens that end a completion.
      ended: whether a text has come to its end; asked when a line ends or begins.
      soft_prompt: vectors that stand before the embedded prompt, [length, width]; None for none.
      guide: says which tokens may follow a text; one that may not is drawn again, from those that
        may. None lets all through.

    Raises:
      FloatingPointError: the model gives numbers that are not finite.
    """
    written: list[list[int]] = [[] for _ in draws]
    finished: list[Sample | None] = [None] * len(draws)
    active = list(range(len(draws)))
    reader = _Reader(model, prompt, soft_prompt)
    logits = reader.first(len(draws))
    for _ in range(max_new_tokens):
        tokens = _choose(logits, [draws[row] for row in active])
        if guide is not None:
            texts = [_decode(tokenizer, written[row]) for row in active]
            for position, (row, text) in enumerate(zip(active, texts, strict=True)):
                first = tokens[position]
                tokens[position] = _guided(guide, text, first, logits[position], draws[row])
        kept = []
        for position, (row, token) in enumerate(zip(active, tokens, strict=True)):
            written[row].append(token)
            finished[row] = _look(tokenizer, written[row], stop_tokens, ended)
            if finished[row] is None:
                kept.append(position)
        if not kept:
            break
        logits = reader.next([tokens[position] for position in kept], kept)
        active = [active[position] for position in kept]
    return [
        done or Sample(_decode(tokenizer, tokens), len(tokens), ended=False)
        for done, tokens in zip(finished, written, strict=True)
    ]


class _Reader:
    """Reads tokens, all rows of one length, and gives the logits of what follows.

    Models whose cache cannot be repeated and narrowed are read from the start at every token.
    """

    def __init__(self, model: Any, prompt: Sequence[int], soft_prompt: torch.Tensor | None):
        self._model = model
        self._prompt = torch.tensor([list(prompt)], device=model.device)
        self._keep = {}
        if "logits_to_keep" in inspect.signature(model.forward).parameters:
            self._keep = {"logits_to_keep": 1}  # of a long prompt, only the last are needed
        self._soft = soft_prompt
        self._cache: Any = None
        self._rows = 0  # of the cache
        self._read = self._prompt

    def first(self, rows: int) -> torch.Tensor:
        """Returns the logits after the prompt, [rows, vocabulary]."""
        told = self._model(**self._whole(self._prompt), use_cache=True, **self._keep)
        cache: Any = getattr(told, "past_key_values", None)
        if hasattr(cache, "batch_repeat_interleave") and hasattr(cache, "batch_select_indices"):
            cache.batch_repeat_interleave(rows)
            growing.grow_in_place(cache)
            self._cache = cache
            self._rows = rows
        else:
            self._read = self._prompt.expand(rows, -1)
        return _last(told).expand(rows, -1)

    def next(self, tokens: Sequence[int], kept: Sequence[int]) -> torch.Tensor:
        """Returns the logits after one more token of each row kept, [kept, vocabulary]."""
        rows = torch.tensor(kept, device=self._model.device)
        column = torch.tensor(tokens, device=self._model.device)[:, None]
        if self._cache is None:
            self._read = torch.cat([self._read[rows], column], dim=1)
            told = self._model(**self._whole(self._read), use_cache=False, **self._keep)
            return _last(told)
        if len(kept) < self._rows:  # copies it all, so only where rows have ended
            self._cache.batch_select_indices(rows)
            self._rows = len(kept)
        told = self._model(
            input_ids=column, past_key_values=self._cache, use_cache=True, **self._keep
        )
        return _last(told)

    def _whole(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns what the model reads for rows of tokens from the start."""
        if self._soft is None:
            return {"input_ids": tokens}
        embedded = self._model.get_input_embeddings()(tokens)
        soft = self._soft.to(embedded).expand(len(tokens), -1, -1)
        return {"inputs_embeds": torch.cat([soft, embedded], dim=1)}


def _last(told: Any) -> torch.Tensor:
    return told.logits[:, -1].float().cpu()


def _guided(guide: Guide, text: str, token: int, logits: torch.Tensor, draw: Draw) -> int:
    """Returns a token that may follow: the one drawn, or else one drawn from all that may.

    Where none may, the one drawn is returned, so that writing can go on.

    With Gumbel noise on the logits, the first of any set is a draw from that set, so that few
    tokens are asked about (the Gumbel-max trick, e.g. Kool, van Hoof, Welling, ICML 2019, section
    2.3, https://arxiv.org/abs/1903.06059).

    Args:
      guide: says what may follow.
      text: what was written.
      token: drawn from all.
      logits: of all, [vocabulary].
      draw: how the sample is drawn.
    """
    if guide.admits(text, token):
        return token
    noise = np.random.default_rng(draw.generator.getrandbits(64)).gumbel(size=len(logits))
    order = np.argsort(-(logits.double().numpy() + draw.temperature * noise), kind="stable")
    return next((other for other in order.tolist() if guide.admits(text, other)), token)


def _choose(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    """Returns the next token of each row: the one whose share of the line the number falls into."""
    if not torch.isfinite(logits).any(dim=1).all() or logits.isnan().any():
        raise FloatingPointError("the model gives logits that are not finite")
    warm = torch.tensor([[draw.temperature or 1.0] for draw in draws], dtype=torch.float64)
    shares = torch.softmax(logits.double() / warm, dim=1).cumsum(dim=1)
    numbers = torch.tensor([[draw.generator.random()] for draw in draws], dtype=torch.float64)
    drawn = torch.searchsorted(shares, numbers * shares[:, -1:], right=True)[:, 0]
    likeliest = logits.argmax(dim=1)
    return [
        int(likeliest[row] if draw.temperature == 0 else drawn[row])
        for row, draw in enumerate(draws)
    ]


def _look(
    tokenizer: Any, tokens: list[int], stops: frozenset[int], ended: Callable[[str], bool]
) -> Sample | None:
    """Returns the sample if it has ended with its last token, else None."""
    if tokens[-1] in stops:
        return Sample(_decode(tokenizer, tokens[:-1]), len(tokens), ended=True)
    if "\n" in _decode(tokenizer, tokens[-_TAIL:]):
        text = _decode(tokenizer, tokens)
        if ended(text):
            return Sample(text, len(tokens), ended=True)
    return None


def _decode(tokenizer: Any, tokens: Sequence[int]) -> str:
    return tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
