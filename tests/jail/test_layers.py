"""Which walls stand where the kernel lacks some, what is the minimum, and what a user is told."""

import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from evo_clrs.errors import Rejected, UserError
from evo_clrs.jail import confine
from evo_clrs.jail.confine import FILE_WALLS, MINIMUM, SWITCHES, USUAL, absent, missing
from evo_clrs.jail.jail import Jail
from evo_clrs.jail.limits import Limits
from evo_clrs.slots import PROCESSOR
from tests.jail.guests import MPNN, SIZES

NAMESPACES = {f"{name}_namespace" for name in ("user", "pid", "net", "ipc", "uts", "mount")}


@pytest.fixture(scope="module")
def switched():
    """A jail whose layers can be left out, and the function that tells those in force then."""
    with Jail(weak=True) as jail:
        jail.layers()

        def layers(*without: str) -> set[str]:
            jail._without = list(without)
            _, _, told = jail._exchange(jail._started(), {}, Limits())
            jail._without = []
            return set(told)

        yield layers


def test_each_layer_can_be_missing_alone(switched):
    everything = switched()
    if absent(everything):
        pytest.skip(f"this kernel lacks {', '.join(absent(everything))} itself")
    lost = {
        "clean_exec": {"clean_exec"},
        "namespaces": NAMESPACES,
        "rlimits": {"rlimits"},
        "landlock": {"landlock"},
        "seccomp": {"seccomp"},
        # Without it an ordinary process may neither install a filter nor restrict itself.
        "no_new_privs": {"no_new_privs", "landlock", "seccomp"},
    }
    assert set(lost) == set(SWITCHES)
    for switch, layers in lost.items():
        assert set(absent(switched(switch))) == layers, switch


@pytest.mark.parametrize(
    ("without", "lacking"),
    [
        ((), ()),
        (("landlock",), ()),
        (("namespaces",), ()),
        (("landlock", "namespaces"), ()),  # seccomp keeps files away then
        (("seccomp",), ("seccomp",)),
        (
            ("seccomp", "landlock", "namespaces"),
            ("seccomp", "landlock or mount_namespace or seccomp_no_files"),
        ),
        (("rlimits",), ("rlimits",)),
        (("clean_exec",), ("clean_exec",)),
        (
            ("no_new_privs", "namespaces"),
            ("no_new_privs", "seccomp", "landlock or mount_namespace or seccomp_no_files"),
        ),
        (
            SWITCHES,
            (*MINIMUM, "landlock or mount_namespace or seccomp_no_files"),
        ),
    ],
    ids=lambda names: "+".join(names) or "none",
)
def test_what_is_below_the_minimum(switched, without, lacking):
    if absent(switched()):
        pytest.skip("this kernel lacks layers itself")
    assert missing(switched(*without)) == lacking


def test_the_minimum_is_all_of_four_and_one_of_three():
    for count in range(len(MINIMUM) + 1):
        for some in itertools.combinations(MINIMUM, count):
            for wall in FILE_WALLS:
                lacking = missing((*some, wall))
                assert set(lacking) == set(MINIMUM) - set(some)
            assert len(missing(some)) == len(MINIMUM) - count + 1
    assert absent(USUAL) == ()
    assert absent(()) == USUAL


def test_a_file_wall_of_seccomp_is_put_up_only_where_there_is_no_other(switched):
    if absent(switched()):
        pytest.skip("this kernel lacks layers itself")
    assert "seccomp_no_files" not in switched()
    assert "seccomp_no_files" not in switched("landlock")
    assert "seccomp_no_files" not in switched("namespaces")
    assert "seccomp_no_files" in switched("landlock", "namespaces")


def test_below_the_minimum_the_jail_refuses_and_names_the_flag():
    with Jail(without=("seccomp", "rlimits")) as jail, pytest.raises(UserError) as caught:
        jail.layers()
    message = str(caught.value)
    assert "lacks rlimits, seccomp on this machine" in message
    assert "--weak_jail" in message and "\n" not in message


def test_a_weak_jail_traces_with_no_wall_at_all():
    """What still holds then: limits, the empty environment, and the checks of what comes out."""
    bare = tuple(switch for switch in SWITCHES if switch != "clean_exec")
    with Jail(Limits(wall_seconds=5), weak=True, without=bare) as jail:
        assert set(jail.layers()) <= {"clean_exec", "no_capabilities"}
        assert jail.trace(PROCESSOR, MPNN, SIZES[:1]).slot == "processor"
        with pytest.raises(Rejected, match="took more than 5 s"):
            jail.trace(PROCESSOR, "import time\ntime.sleep(60)", SIZES[:1])


ATTEMPTS = """
open('/etc/passwd').read()
open('/proc/self/environ').read()
open(os.__file__).read()
open('/dev/urandom', 'rb').read(1)
os.listdir('/')
os.stat('/etc/passwd')
assert os.access('/etc/passwd', os.R_OK), 'refused'
os.readlink('/proc/self/exe')
os.statvfs('/')
import turtle
open('/tmp/written-by-a-test', 'w')
socket.socket()
os.fork()
""".strip().splitlines()


@pytest.fixture(scope="module")
def without_files():
    """A jail as on a kernel without namespaces and Landlock."""
    with Jail(without=("namespaces", "landlock")) as jail:
        yield jail


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_seccomp_alone_keeps_all_files_away(without_files, attempt):
    source = f"import os, socket\n{attempt}\nraise AssertionError('allowed')"
    with pytest.raises(Rejected) as caught:
        without_files.trace(PROCESSOR, source, SIZES[:1])
    refused = ("PermissionError", "ModuleNotFoundError", "AssertionError: refused")
    assert caught.value.reason.startswith(tuple(f"line 2: {name}" for name in refused))
    assert "allowed" not in caught.value.reason


def test_programs_are_traced_without_any_file(jail, without_files):
    assert "seccomp_no_files" in without_files.layers()
    usual, there = (j.trace(PROCESSOR, MPNN, SIZES) for j in (jail, without_files))
    assert usual.sizes == there.sizes


def run(code: str) -> list[str]:
    """Runs code as an ordinary user; returns the lines it prints."""
    root = Path(confine.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.jail.ordinary", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests of this folder do this already")
def test_an_ordinary_user_has_a_jail():
    """Not root, no capabilities: it starts, traces a seed, and keeps files and sockets away."""
    told = run(
        """
        import os
        from evo_clrs import programs
        from evo_clrs.errors import Rejected
        from evo_clrs.jail.confine import absent, missing
        from evo_clrs.jail.jail import Jail
        from evo_clrs.records import make_size
        from evo_clrs.slots import PROCESSOR
        size = make_size(B=2, N=3, H=8, K=3, R=2)
        with open("/proc/self/status") as file:
            effective = next(line.split()[1] for line in file if line.startswith("CapEff"))
        print(os.getuid(), int(effective, 16))
        with Jail() as jail:
            print(missing(jail.layers()), *absent(jail.layers()))
            graph = jail.trace(PROCESSOR, programs.load("processor")["gatv2_full"], [size])
            print(len(graph.parameters))
            for attempt in ("open('/etc/passwd')", "__import__('socket').socket()",
                            "__import__('os').fork()", "__import__('os').kill(-1, 9)",
                            "open('/tmp/written-by-a-test', 'w')"):
                try:
                    jail.trace(PROCESSOR, attempt, [size])
                except Rejected as rejection:
                    print(rejection.reason.split(":")[1].strip())
        """
    )
    assert told[0] == "65534 0"
    assert told[1].startswith("()")
    assert int(told[2]) > 0
    assert len(told) == 8 and set(told[3:]) <= {"PermissionError", "FileNotFoundError", "OSError"}


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests of this folder do this already")
def test_an_ordinary_user_has_the_layers_that_root_has(jail):
    told = run(
        """
        from evo_clrs.jail.jail import Jail
        with Jail() as jail:
            print(*jail.layers())
        """
    )
    settings = Path("/proc/sys/kernel/unprivileged_userns_clone"), "0\n"
    if settings[0].exists() and settings[0].read_text() == settings[1]:
        assert set(MINIMUM) <= set(told[0].split())
    else:
        assert set(told[0].split()) == set(jail.layers())
