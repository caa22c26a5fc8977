"""The spawned process of macOS: its profile as text, and its protocol without the sandbox."""

import json
import re
import sys

import pytest

from evo_clrs.errors import Rejected, UserError
from evo_clrs.jail import jail as jail_module
from evo_clrs.jail import macos
from evo_clrs.jail.confine import missing
from evo_clrs.jail.jail import Jail
from evo_clrs.jail.limits import Limits
from evo_clrs.slots import PROCESSOR
from tests.jail.guests import MPNN, SIZES

SEARCH = ["/opt/packages", '/opt/odd "name"']


def rules(text: str) -> list[str]:
    return text.splitlines()[1:]


def last_rule(text: str, operation: str) -> str:
    """The rule without a filter that holds for an operation: the last that names it."""
    named = [rule for rule in rules(text) if re.fullmatch(rf"\((allow|deny) {operation}\)", rule)]
    return named[-1]


def test_the_profile_denies_network_writing_and_programs():
    text = macos.profile(macos.readable_paths(SEARCH), sys.executable)
    for operation in (r"network\*", r"file-write\*", "file-read-data", "process-fork", "signal"):
        assert last_rule(text, operation).startswith("(deny")
    assert "(deny process-exec*)" in rules(text)
    allowed = [rule for rule in rules(text) if rule.startswith("(allow process-exec ")]
    assert len(allowed) <= 2
    assert all("python" in rule for rule in allowed)
    assert text.count("(") == text.count(")")


def test_what_may_be_read_comes_after_what_may_not():
    text = macos.profile(macos.readable_paths(SEARCH), sys.executable)
    order = rules(text)
    denied = order.index("(deny file-read-data)")
    granted = [i for i, rule in enumerate(order) if rule.startswith("(allow file-read-data")]
    assert granted and min(granted) > denied
    assert '(allow file-read-data (subpath "/opt/packages"))' in order
    assert f"(subpath {json.dumps(SEARCH[1])})" in text
    assert '(subpath "/")' not in text  # that would be everything


def test_the_command_runs_the_interpreter_in_the_sandbox():
    spawned = macos.Spawned(SEARCH, macos.wrapping(SEARCH))
    command = spawned._command
    assert command[:2] == ["/usr/bin/sandbox-exec", "-p"]
    assert command[3:7] == [sys.executable, "-s", "-P", "-B"]
    assert json.loads(command[-1]) == SEARCH


def test_macos_is_below_the_minimum():
    layers = ("clean_exec", "rlimits", macos.SANDBOX)
    assert missing(layers)[:2] == ("no_new_privs", "seccomp")


def test_other_systems_are_refused(monkeypatch):
    monkeypatch.setattr(jail_module.sys, "platform", "win32")
    with pytest.raises(UserError, match="needs Linux or macOS, this is win32"):
        Jail().layers()


@pytest.fixture(scope="module")
def spawning():
    """A jail that spawns a process for each program, without the sandbox that Linux lacks."""
    with Jail(Limits(cpu_seconds=20, wall_seconds=60, output_bytes=1 << 20), weak=True) as jail:
        jail._warm = macos.Spawned(jail_module._search(), ())
        yield jail


def test_a_spawned_process_traces_as_a_warm_one_does(jail, spawning):
    assert spawning.trace(PROCESSOR, MPNN, SIZES).sizes == jail.trace(PROCESSOR, MPNN, SIZES).sizes


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os\nos._exit(3)", "ended the interpreter with exit code 3"),
        ("import os\nos.abort()", "crashed the interpreter (SIGABRT)"),
        ("import os\nos.write(3, b'x' * (8 << 20))", "its reply is larger than 1 MiB"),
        ("raise ValueError('no')", "line 1: ValueError: no"),
    ],
    ids=["exit", "abort", "flood", "raise"],
)
def test_how_a_spawned_process_ends_is_told(spawning, source, reason):
    with pytest.raises(Rejected) as caught:
        spawning.trace(PROCESSOR, source, SIZES[:1])
    assert caught.value.reason == reason
