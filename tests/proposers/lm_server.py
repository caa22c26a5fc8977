"""A server of the OpenAI protocol on loopback that has the faults a test asks for.

It answers each call with a text, or with what a function makes of the body; `faults` maps the
number of a call (from 0, in the order of arrival, repeated tries counted) to what happens in place
of that.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[["Handler"], None]
Writer = Callable[[Mapping[str, Any]], str]


class Server(ThreadingHTTPServer):
    """Listens on a free port of loopback and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, text: str | Writer, faults: Mapping[int, Fault], delay: float):
        super().__init__(("127.0.0.1", 0), Handler)
        self.text: Writer = text if callable(text) else lambda body: text
        self.faults = faults
        self.delay = delay
        self.asked: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            number = len(server.asked)
            server.asked.append(body)
            server.times.append(time.monotonic())
            server.keys.add(self.headers.get("Authorization", ""))
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        time.sleep(server.delay)
        try:
            self.body = body
            server.faults.get(number, Handler.complete)(self)
        finally:
            with server.lock:
                server.at_once -= 1

    def complete(self, reason: str = "stop", text: str | None = None) -> None:
        text = self.server.text(self.body) if text is None else text
        chat = self.path.endswith("/chat/completions")
        told = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        choice = {"index": 0, "finish_reason": reason, **told}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        self.reply(200, {"id": "x", "object": "o", "choices": [choice], "usage": usage})

    def reply(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


def status(code: int, message: str = "out of order", **headers: str) -> Fault:
    """A refusal by the server."""
    return lambda handler: handler.reply(code, {"error": {"message": message}}, headers)


def garbage(data: bytes) -> Fault:
    """An answer that is none."""
    return lambda handler: handler.reply(200, data)


def cut(handler: Handler) -> None:
    """A connection that ends in the middle of the answer."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')


def slow(seconds: float) -> Fault:
    """An answer that comes late."""

    def wait(handler: Handler) -> None:
        time.sleep(seconds)
        with contextlib.suppress(OSError):
            handler.complete()

    return wait


@contextlib.contextmanager
def serve(
    text: str | Writer, faults: Mapping[int, Fault] | None = None, delay: float = 0.0
) -> Iterator[Server]:
    """Serves until the block ends."""
    server = Server(text, faults or {}, delay)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
