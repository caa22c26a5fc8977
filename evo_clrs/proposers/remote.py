"""Language models behind an OpenAI-compatible server: `--lm=openai:MODEL@BASE_URL`.

The key is read from the environment variable OPENAI_API_KEY, is sent to the server, and goes
nowhere else. Answers are kept in the run folder as they arrive, see `proposers.journal`.
"""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from evo_clrs import records, slots
from evo_clrs.errors import BudgetSpent, Stopped, UserError
from evo_clrs.proposers import calls, prompts, replies
from evo_clrs.proposers.base import Refusal
from evo_clrs.proposers.budget import Budget
from evo_clrs.proposers.calls import Answer, Call, Usage
from evo_clrs.proposers.channel import Channel, Entry
from evo_clrs.proposers.journal import Journal
from evo_clrs.randomness import seed_for

DEFAULT_URL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"

_MAX_FAILURES = 16  # in succession, after which the server is taken to be gone


@dataclasses.dataclass(frozen=True)
class Options:
    """How a remote model is asked.

    Attributes:
      max_new_tokens: tokens at most for one reply of a language model; one that has not ended by
        then is cut off.
      endpoint: which endpoint of the server is asked: chat, or completions for models that go on
        with a text.
      in_flight: calls of a remote model at a time.
      retries: how often a call is repeated that fails by what may pass, with growing waits.
      request_timeout: seconds for one try of a call.
      max_tokens: tokens that remote calls may read and write in all; 0 for no limit.
      max_cost: money that remote calls may cost in all, in the unit of the prices; 0 for no limit.
      price_prompt: price of a million tokens read.
      price_completion: price of a million tokens written.
      batch: send nothing: write the requests of a round as an OpenAI Batch file, stop, and go on
        from the answers file when the command is given again.

    Raises:
      UserError: an option is out of range; the message names it.
    """

    max_new_tokens: int = 2048
    endpoint: str = "chat"
    in_flight: int = 16
    retries: int = 6
    request_timeout: float = 300.0
    max_tokens: int = 0
    max_cost: float = 0.0
    price_prompt: float = 0.0
    price_completion: float = 0.0
    batch: bool = False

    def __post_init__(self) -> None:
        if self.endpoint not in calls.ENDPOINTS:
            choices = ", ".join(calls.ENDPOINTS)
            raise UserError(f"--endpoint must be one of {choices}, got {self.endpoint!r}")
        for name in ("max_new_tokens", "in_flight", "request_timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"--{name} must be above zero, got {getattr(self, name)}")
        for name in ("retries", "max_tokens", "max_cost", "price_prompt", "price_completion"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name} must be 0 or more, got {getattr(self, name)}")
        if self.max_cost and not (self.price_prompt or self.price_completion):
            raise UserError("--max_cost needs --price_prompt and --price_completion")


class Remote:
    """Asks a server, many samples at a time; see `proposers.base.Proposer`.

    Each sample is a call with its own temperature and seed. What the server makes of the seed is
    its own affair; what it answered is kept, and read again when the run is resumed.
    """

    name = "openai"

    def __init__(self, model: str, base_url: str, options: Options, folder: Path | None, key: str):
        """Opens no connection yet.

        Args:
          model: as the server calls it.
          base_url: of the server.
          options: how it is asked.
          folder: the run folder; None to keep answers in memory only.
          key: empty where the server needs none.
        """
        self.prompt = "chat" if options.endpoint == "chat" else "paper"
        self._model = model
        self._url = base_url
        self._options = options
        self._key = key
        self._journal = Journal(folder)
        self._budget = Budget(
            options.max_tokens,
            options.max_cost,
            options.price_prompt,
            options.price_completion,
            sum((_spent(entry) for entry in self._journal.entries()), calls.NOTHING),
        )
        self._channel: Channel | None = None
        self._sent: dict[str, Future[Entry]] = {}
        self._failures = 0
        self._answered = False

    @property
    def identity(self) -> Mapping[str, str | int | float]:
        """What shapes its samples besides prompts and seed."""
        names = ("max_new_tokens", "endpoint")
        return {name: getattr(self._options, name) for name in names}

    def prepare(
        self, asked: Sequence[tuple[records.Request, str]], slot: slots.Slot, seed: int
    ) -> None:
        """Sends the calls of a whole round, as far as the budget goes; or writes them to a file.

        Raises:
          Stopped: with `batch`, when answers are missing.
        """
        rounds = [self._calls(request, slot, prompt, seed) for request, prompt in asked]
        if self._options.batch:
            self._expect_answers([call for request in rounds for call in request])
            return
        for request in rounds:
            if not self._send(request):
                return

    def propose(
        self, request: records.Request, slot: slots.Slot, prompt: str, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns one reply for each child asked for, see `proposers.base.Proposer`.

        Raises:
          UserError: key or model are wrong, or the server does not answer any more.
          BudgetSpent: the request does not fit what is left of the budget.
          Stopped: with `batch`, when answers are missing.
        """
        answers = self._answers(self._calls(request, slot, prompt, seed))
        shown = tuple(parent.source for parent in request.parents)
        return [_proposal(answer, request, slot, prompt, shown) for answer in answers]

    def repair(
        self, refusals: Sequence[Refusal], slot: slots.Slot, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns one reply for each refusal, see `proposers.base.Repairer`.

        It raises as `propose` does.
        """
        asked = [
            self._call(
                f"repair-{refusal.request.index:05}-{refusal.sample:03}-{refusal.attempt}",
                refusal.prompt,
                refusal.request.temperatures[refusal.sample],
                seed_for(seed, "repair", refusal.request.index, refusal.sample, refusal.attempt),
                slot,
            )
            for refusal in refusals
        ]
        return [
            _proposal(answer, refusal.request, slot, refusal.prompt, refusal.programs)
            for refusal, answer in zip(refusals, self._answers(asked), strict=True)
        ]

    # Calls.

    def _calls(
        self, request: records.Request, slot: slots.Slot, prompt: str, seed: int
    ) -> list[Call]:
        return [
            self._call(
                f"sample-{request.index:05}-{sample:03}",
                prompt,
                temperature,
                seed_for(seed, "sample", request.index, sample),
                slot,
            )
            for sample, temperature in enumerate(request.temperatures)
        ]

    def _call(
        self, place: str, prompt: str, temperature: float, seed: int, slot: slots.Slot
    ) -> Call:
        endpoint = self._options.endpoint
        # Their newest models take the new name only, most other servers the old one.
        limit = "max_completion_tokens" if self._url == DEFAULT_URL else "max_tokens"
        body: dict[str, Any] = {"model": self._model}
        if endpoint == "chat":
            body["messages"] = prompts.messages(prompt)
        else:
            limit = "max_tokens"
            body["prompt"] = prompts.plain(prompt)
            if prompt.endswith(slot.opening):
                body["stop"] = ['\n"""Metrics']
        body |= {limit: self._options.max_new_tokens, "temperature": temperature}
        return Call(place, endpoint, body | {"seed": seed % 2**31})

    def _answers(self, asked: Sequence[Call]) -> list[Answer]:
        """Returns the answers to calls, in order; sends what was not sent yet."""
        if self._options.batch:
            self._expect_answers(asked)
        elif not self._send(asked):
            raise BudgetSpent(self._budget.refusal(self._missing(asked)))
        return [self._answer(call) for call in asked]

    def _answer(self, call: Call) -> Answer:
        future = self._sent.pop(call.key, None)
        entry = self._journal.find(call) if future is None else future.result()
        assert entry is not None
        answer = calls.read(entry, call)
        if not self._options.batch:
            self._note(answer)
        return answer

    def _note(self, answer: Answer) -> None:
        """Gives up where nothing came from the start, or for long.

        Raises:
          UserError: the server is gone.
        """
        self._failures = self._failures + 1 if answer.trouble else 0
        self._answered = self._answered or not answer.trouble
        absent = not answer.reached and not self._answered
        if absent or self._failures >= _MAX_FAILURES:
            raise UserError(
                f"{self._url} gives no replies ({answer.trouble}): see to it, then give the same "
                "command to go on"
            )

    def _missing(self, asked: Sequence[Call]) -> list[Call]:
        return [c for c in asked if c.key not in self._sent and self._journal.find(c) is None]

    def _send(self, asked: Sequence[Call]) -> bool:
        """Sends what is missing, all or nothing; returns whether the budget allows it."""
        missing = self._missing(asked)
        if not missing:
            return True
        if not self._budget.reserve(missing):
            return False
        if self._channel is None:
            options = self._options
            self._channel = Channel(
                self._url,
                self._key,
                options.in_flight,
                options.retries,
                options.request_timeout,
                self._arrived,
            )
        for call, future in zip(missing, self._channel.send(missing), strict=True):
            self._sent[call.key] = future
        return True

    def _arrived(self, call: Call, entry: Entry) -> None:
        """Keeps an answer and counts it; what failed is asked anew when the run is resumed."""
        answer = calls.read(entry, call)
        self._budget.settle(call, answer.usage)
        if (entry.get("response") or {}).get("status_code") == 200:
            self._journal.keep(call, entry)

    def _expect_answers(self, asked: Sequence[Call]) -> None:
        """Writes what was not answered yet to a batch file and stops the run.

        Raises:
          BudgetSpent: it does not fit what is left of the budget.
          Stopped: something is missing.
        """
        missing = self._missing(asked)
        if not missing:
            return
        if not self._budget.reserve(missing):
            raise BudgetSpent(self._budget.refusal(missing))
        path, answers = self._journal.write_batch(missing)
        raise Stopped(
            f"{len(missing)} requests are written to {path}; have them answered as an OpenAI "
            f"Batch and save the answers as {answers}"
        )


def make(place: str, options: Options, folder: Path | None) -> Remote:
    """Returns the proposer that asks `MODEL@BASE_URL`; without a URL, OpenAI's own server.

    Raises:
      UserError: the place is no model and URL, the client is not installed, or there is no key.
    """
    model, at, address = place.partition("@http")
    url = f"http{address}".rstrip("/") if at else DEFAULT_URL
    try:
        parts = urlsplit(url)
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid, plain = False, True
    if not model or not valid:
        raise UserError("--lm=openai needs a model and a URL: --lm=openai:MODEL@BASE_URL")
    if not plain:
        raise UserError(
            f"--lm=openai: a URL with a key or a query would be kept in flags.txt: put the key "
            f"into {KEY}"
        )
    key = os.environ.get(KEY, "").strip()
    if key and key in place:
        raise UserError(f"--lm holds the value of {KEY}, and would be kept in flags.txt")
    if not options.batch:
        try:
            import openai  # noqa: F401
        except ImportError:
            raise UserError("--lm=openai needs the client: pip install openai") from None
        if not key and url == DEFAULT_URL:
            raise UserError(f"--lm=openai needs a key: set {KEY} in the environment")
    return Remote(model, url, options, folder, key)


def _spent(entry: Entry) -> Usage:
    return calls.read(entry, Call("", "chat", {})).usage


def _proposal(
    answer: Answer,
    request: records.Request,
    slot: slots.Slot,
    prompt: str,
    shown: Sequence[str],
) -> records.Proposal:
    if answer.trouble:
        return records.Proposal(source="", seconds=answer.seconds, note=answer.trouble)
    return replies.proposal(
        answer.text,
        prompt,
        request,
        slot,
        shown,
        cut=answer.cut,
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        seconds=answer.seconds,
    )
