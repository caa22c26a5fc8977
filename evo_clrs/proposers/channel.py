"""Calls over the wire: many at a time, by the official client, with its retries.

The client repeats what may pass (no connection, time-outs, 408, 409, 429, 5xx) a bounded number of
times, waits longer each time, and as long as Retry-After says. One event loop in a daemon thread
holds all calls, so that an interruption waits for none of them.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.proposers.calls import UNREACHABLE, Call

Entry = Mapping[str, Any]

_FATAL = (401, 403, 404)  # a wrong key or model: no other call would fare better


class Channel:
    """Sends calls to one server."""

    def __init__(
        self,
        base_url: str,
        key: str,
        in_flight: int,
        retries: int,
        timeout: float,
        arrived: Callable[[Call, Entry], None],
    ):
        """Opens nothing yet.

        Args:
          base_url: of the server, e.g. `http://localhost:8000/v1`.
          key: sent to the server and shown nowhere.
          in_flight: calls at a time.
          retries: how often a call is repeated.
          timeout: seconds for one try.
          arrived: told each call with its answer, in the channel's own thread.
        """
        import openai

        self._openai = openai
        self._url = base_url
        self._key = key
        self._arrived = arrived
        self._limit = in_flight
        self._client = openai.AsyncOpenAI(
            api_key=key or "none", base_url=base_url, max_retries=retries, timeout=timeout
        )
        self._loop = asyncio.new_event_loop()
        self._gate: asyncio.Semaphore | None = None
        threading.Thread(target=self._loop.run_forever, daemon=True, name="lm calls").start()

    def send(self, calls: Sequence[Call]) -> list["Future[Entry]"]:
        """Sends calls; each gives its answer as an entry of an answers file.

        A future raises UserError where nothing else can come of any call.
        """
        return [asyncio.run_coroutine_threadsafe(self._answer(c), self._loop) for c in calls]

    async def _answer(self, call: Call) -> Entry:
        if self._gate is None:
            self._gate = asyncio.Semaphore(self._limit)
        async with self._gate:
            started = time.monotonic()
            entry = await self._ask(call)
        entry = {**entry, "seconds": round(time.monotonic() - started, 3)}
        self._arrived(call, entry)
        return entry

    async def _ask(self, call: Call) -> Entry:
        """Returns the answer or what kept it from coming."""
        try:
            if call.endpoint == "chat":
                raw = await self._client.chat.completions.with_raw_response.create(**call.body)
            else:
                raw = await self._client.completions.with_raw_response.create(**call.body)
            return self._success(raw.text)
        except self._openai.APIStatusError as error:
            told = self._hidden(_message(error))
            if error.status_code in _FATAL:
                self._arrived(call, {"response": None, "error": None})
                raise UserError(self._fatal(error.status_code, told)) from None
            body = {"status_code": error.status_code, "body": told}
            return {"response": body, "error": None}
        except self._openai.APITimeoutError:
            return _error("it took longer than --request_timeout")
        except self._openai.APIConnectionError as error:
            told = self._hidden(f"{error} {error.__cause__ or ''}")
            reached = not isinstance(_root(error), ConnectionRefusedError | socket.gaierror)
            return _error(told, "" if reached else UNREACHABLE)
        except self._openai.OpenAIError as error:
            return _error(self._hidden(str(error)))
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            return _error(self._hidden(f"{type(error).__name__}: {error}"))

    def _success(self, text: str) -> Entry:
        text = self._hidden(text)
        try:
            body = json.loads(text)
        except ValueError:
            body = text[:1000]
        return {"response": {"status_code": 200, "body": body}, "error": None}

    def _fatal(self, status: int, told: str) -> str:
        if status == 404:
            return f"{self._url} does not know the model, or the endpoint: {told}"
        return f"{self._url} refuses the key in OPENAI_API_KEY (HTTP {status}): {told}"

    def _hidden(self, text: str) -> str:
        """Returns text of the server without the key, which some servers repeat."""
        return text.replace(self._key, "***") if self._key else text


def _error(message: str, code: str = "") -> Entry:
    return {"response": None, "error": {"message": message, "code": code}}


def _root(error: BaseException) -> BaseException:
    """Returns the first cause of an error."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _message(error: Any) -> str:
    body = error.body
    told = body.get("message") if isinstance(body, Mapping) else body
    return " ".join(str(told or error).split())[:300]
