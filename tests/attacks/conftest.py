"""One jail, one small problem and planted canaries for all attacks; what became of each is told."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evo_clrs import problems
from tests.attacks.watch import CANARY, Watched

ENDS = pytest.StashKey[dict[str, Counter]]()


@pytest.fixture(scope="session")
def problem():
    options = {
        "hidden_size": 8,
        "batch_size": 4,
        "train_steps": 4,
        "validate_every": 2,
        "train_lengths": (4,),
        "validation_length": 5,
        "train_count": 16,
        "validation_count": 4,
        "cache": "none",
    }
    return problems.make("clrs", options)


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Canaries in the environment, in a file and in an array; what to write into guests' text."""
    home = tmp_path_factory.mktemp("home")
    (home / "secret").write_text(CANARY)
    labels = np.frombuffer(CANARY.encode() * 100, dtype=np.uint8).copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("API_KEY", CANARY)
        yield {
            "@CANARY_FILE@": str(home / "secret"),
            "@PARENT@": str(os.getpid()),
            "@HOME@": str(home),
        }
    assert labels.tobytes() == CANARY.encode() * 100


@pytest.fixture(scope="session")
def jail(planted, request) -> Iterator[Watched]:
    with Watched(Path(planted["@HOME@"])) as jail:
        yield jail


@pytest.fixture(scope="session")
def ends(request) -> Counter:
    """Counts what attacks ended in, for the summary."""
    return request.config.stash.setdefault(ENDS, Counter())


def pytest_terminal_summary(terminalreporter, config):
    found = config.stash.get(ENDS, None)
    if found:
        table: dict[str, dict[str, int]] = {}
        for (kind, way, end), count in sorted(found.items()):
            table.setdefault(f"{kind}, {way}", {})[end] = count
        terminalreporter.write_line("attacks: " + json.dumps(table))
