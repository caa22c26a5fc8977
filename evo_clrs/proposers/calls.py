"""One call of an OpenAI-compatible server, as data: what is sent, and what came back.

A call is a line of an OpenAI Batch file and its answer a line of the answers file, also where both
go over the wire one by one: https://developers.openai.com/api/docs/guides/batch.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

ENDPOINTS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}

UNREACHABLE = "unreachable"  # code of the error where no connection came about

_BYTES_A_TOKEN = 3  # of prompts that were not counted yet: programs have more, so this is cautious


@dataclasses.dataclass(frozen=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        return self + Usage(-other.prompt_tokens, -other.completion_tokens)


NOTHING = Usage()


@dataclasses.dataclass(frozen=True)
class Call:
    """One sample asked for.

    Attributes:
      place: what it is for, e.g. `sample-00003-05`.
      endpoint: a key of `ENDPOINTS`.
      body: what is sent.
    """

    place: str
    endpoint: str
    body: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Tells the call from any other, also from one of the same place in other words."""
        text = json.dumps([self.endpoint, self.body], sort_keys=True)
        return f"{self.place}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    @property
    def at_most(self) -> Usage:
        """The tokens that it may take: those of the prompt by its length, and the limit asked."""
        asked = json.dumps(self.body.get("messages") or self.body.get("prompt"), ensure_ascii=False)
        limit = self.body.get("max_tokens") or self.body.get("max_completion_tokens") or 0
        size = len(asked.encode("utf-8", "replace"))
        return Usage(math.ceil(size / _BYTES_A_TOKEN), limit)

    def line(self) -> str:
        """Returns the call as a line of an OpenAI Batch file."""
        entry = {
            "custom_id": self.key,
            "method": "POST",
            "url": ENDPOINTS[self.endpoint],
            "body": self.body,
        }
        return json.dumps(entry)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
      text: what the model wrote; empty if nothing came.
      trouble: why nothing came, in one line; empty if something did.
      cut: why the text ends before its end, empty if it does not.
      usage: tokens it took.
      seconds: from asking to having it.
      reached: whether there was a server at all.
    """

    text: str = ""
    trouble: str = ""
    cut: str = ""
    usage: Usage = NOTHING
    seconds: float = 0.0
    reached: bool = True


def read(entry: Mapping[str, Any], call: Call) -> Answer:
    """Returns the answer of a line of an answers file."""
    response = entry.get("response") or {}
    error = entry.get("error")
    status = response.get("status_code") if isinstance(response, Mapping) else None
    seconds = float(entry.get("seconds") or 0.0)
    if error or status != 200:
        told = error or response
        reached = not (isinstance(error, Mapping) and error.get("code") == UNREACHABLE)
        return Answer(trouble=f"no reply: {_one_line(told)}", seconds=seconds, reached=reached)
    body: Any = response.get("body")
    try:
        choice = body["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        if not isinstance(text, str):
            raise TypeError
    except (KeyError, IndexError, TypeError):
        return Answer(
            trouble=f"no reply: it is no completion: {json.dumps(body)[:200]}", seconds=seconds
        )
    reason = choice.get("finish_reason")
    limit = call.at_most.completion_tokens
    cut = {"length": f"cut off at {limit} tokens", "content_filter": "cut off by a filter"}
    return Answer(text, "", cut.get(reason, ""), _usage(body, call, text), seconds)


def _usage(body: Mapping[str, Any], call: Call, text: str) -> Usage:
    """Returns the tokens that the server counted, or an estimate where it did not."""
    told = body.get("usage")
    guess = Usage(call.at_most.prompt_tokens, math.ceil(len(text.encode()) / _BYTES_A_TOKEN))
    if not isinstance(told, Mapping):
        return guess
    read = [told.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(count, int) and count >= 0 for count in read):
        return guess
    return Usage(*read)  # type: ignore[arg-type]


def _one_line(told: Any) -> str:
    if isinstance(told, Mapping):
        told = told.get("message") or (f"HTTP {told.get('status_code')}: {told.get('body')}")
    text = told if isinstance(told, str) else json.dumps(told, default=str)
    return " ".join(text.split())[:200]
