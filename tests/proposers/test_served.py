"""A real server: transformers' own `serve`, with a tiny model made on the spot."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from evo_clrs import programs, proposers
from evo_clrs.proposers import prompts
from evo_clrs.records import Parent, Request
from evo_clrs.slots import TRIPLET

pytestmark = pytest.mark.slow  # torch is loaded twice
for module in ("openai", "torch", "transformers", "fastapi", "uvicorn"):
    pytest.importorskip(module)

SHOWN = Parent("aa", programs.load("triplet")["v8_tiled_linear"], {"val_accuracy": 0.5})
REQUEST = Request(0, 0, (SHOWN,), {"num_params": 100}, (0.2, 0.8, 1.0))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The model's name and the server's URL; the server ends with the module."""
    from tests.proposers import tiny_lm

    folder = tiny_lm.write(tmp_path_factory.mktemp("served"), chat=True)
    port = free_port()
    script = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    command = [sys.executable, "-c", script, "serve", str(folder), "--host=127.0.0.1"]
    log = folder / "server.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            [*command, f"--port={port}", "--device=cpu"],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=file,
            stderr=file,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, log)
        yield str(folder), f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait(url, server, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_it_answers_both_endpoints(served, endpoint):
    model = proposers.make(
        f"openai:{served[0]}@{served[1]}",
        {
            "endpoint": endpoint,
            "max_new_tokens": 20,
            "retries": 1,
            "request_timeout": 60.0,
        },
    )
    prompt = prompts.load(model.prompt).build(REQUEST, TRIPLET)
    found = model.propose(REQUEST, TRIPLET, prompt, seed=0)
    assert len(found) == 3
    for proposal in found:
        assert proposal.prompt_tokens > 50 and 0 < proposal.completion_tokens <= 20
        assert proposal.reply or proposal.source
        assert "no reply" not in proposal.note
