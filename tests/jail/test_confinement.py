"""What the guest can reach: nothing. Each wall also on its own, without the others around it."""

import os
import platform
import re
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from evo_clrs.errors import Rejected, UserError
from evo_clrs.jail import jail as jail_module
from evo_clrs.jail.confine import ENVIRONMENT, FILE_WALLS, MINIMUM, missing
from evo_clrs.jail.jail import Jail
from evo_clrs.slots import PROCESSOR
from tests.jail.guests import MPNN, SIZES, line_of

CANARY = "canary-5f1d"
# By number, as the C library has no name for them: on x86_64 only.
_SYSTEM_CALLS = (
    "syscall(101, 16, 1, 0, 0)",  # ptrace: attach
    "syscall(272, 0x10000000)",  # unshare: a user namespace
    "syscall(310, 1, 0, 0, 0, 0, 0)",  # process_vm_readv
    "syscall(321, 0, 0, 0)",  # bpf
    "syscall(425, 1, 0)",  # io_uring_setup
    "syscall(435, 0, 0)",  # clone3
    "syscall(0x40000000 + 41, 1, 1, 0)",  # socket, as x32
) * (platform.machine() == "x86_64")
REFUSALS = ("PermissionError", "FileNotFoundError", "BlockingIOError", "OSError")


def reason(jail: Jail, source: str) -> str:
    with pytest.raises(Rejected) as caught:
        jail.trace(PROCESSOR, source, SIZES[:1])
    return caught.value.reason


def test_layers_are_the_minimum_or_more(jail):
    layers = jail.layers()
    assert set(MINIMUM) <= set(layers)
    assert set(FILE_WALLS) & set(layers)


def test_missing_layers_are_named():
    assert missing((*MINIMUM, "landlock")) == ()
    assert missing(("clean_exec", "rlimits", "no_new_privs", "mount_namespace")) == ("seccomp",)
    assert missing(MINIMUM) == ("landlock or mount_namespace or seccomp_no_files",)


def test_jail_does_not_start_below_the_minimum(monkeypatch):
    monkeypatch.setattr(jail_module, "missing", lambda layers: ("seccomp",))
    with Jail() as strict, pytest.raises(UserError, match="lacks seccomp .* --weak_jail"):
        strict.trace(PROCESSOR, MPNN, SIZES)
    with Jail(weak=True) as weak:
        assert weak.trace(PROCESSOR, MPNN, SIZES[:1]).slot == "processor"


@pytest.mark.parametrize(
    "attempt",
    [
        "open('/etc/passwd').read()",
        "open('/etc/hostname').read()",
        "open('/proc/1/environ').read()",
        "open('/proc/self/environ').read()",
        f"open('/proc/{os.getpid()}/environ').read()",
        f"open({__file__!r}).read()",
        "os.listdir('/')[99]",
        "os.listdir(os.path.expanduser('~'))",
        "os.listdir('/home')",
        "open('/tmp/written', 'w')",
        "open('written', 'a')",
        "os.open('/dev/shm/x', os.O_CREAT | os.O_RDWR)",
        "os.mkdir('/tmp/made')",
        "os.symlink('/etc', '/tmp/link')",
        "os.unlink(os.__file__)",
        "os.truncate(os.__file__, 0)",
        "os.chmod(os.__file__, 0o777)",
        "os.memfd_create('m')",
        "os.mkfifo('/tmp/fifo')",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "socket.getaddrinfo('example.org', 80)",
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "subprocess.run(['/bin/true'])",
        "multiprocessing.Process(target=print).start()",
        "os.setsid()",
        "os.kill(os.getppid(), 9)",
        "os.kill(-1, 9)",
        "os.killpg(0, 9)",
        "os.nice(-5)",
        "os.setuid(0)",
        "os.chroot('/')",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "os.eventfd(0)",
        "[os.dup(3) for _ in range(99)]",
        *_SYSTEM_CALLS,
        "prctl(1, 0)",  # give up dying with its parent
    ],
    # The same names in every process that collects the tests: no process id, no folder.
    ids=lambda attempt: re.sub(r"/proc/[0-9]{2,}/|(?<=')/.*(?=tests/)", "...", attempt),
)
def test_guest_is_refused(jail, attempt):
    source = textwrap.dedent(
        f"""
        import ctypes, multiprocessing, os, resource, socket, subprocess
        multiprocessing.set_start_method('fork')
        libc = ctypes.CDLL(None, use_errno=True)
        syscall = lambda *words: libc.syscall(*map(ctypes.c_long, words))
        prctl = libc.prctl
        if ({attempt}) == -1: raise OSError(ctypes.get_errno(), 'refused')
        """
    )
    found = reason(jail, source)
    line = line_of(source, attempt)
    allowed = (*REFUSALS, "gaierror", "IndexError", "ValueError")
    assert found.startswith(tuple(f"line {line}: {name}" for name in allowed)), found


def test_guest_sees_an_empty_world(jail, monkeypatch):
    """No canary of the parent's environment or memory, no parent, no descriptor but its own."""
    monkeypatch.setenv("EVO_CLRS_CANARY", CANARY)
    jail.close()
    source = textwrap.dedent(
        """
        import os, sys
        descriptors = []
        for number in range(64):
            try:
                os.fstat(number)
                descriptors.append(number)
            except OSError:
                pass
        raise ValueError((descriptors, os.getppid(), sys.argv, sorted(os.environ)))
        """
    )
    found = reason(jail, source)
    assert "([0, 1, 2, 3], " in found and "['-c']" in found
    assert "], 0, [" in found or "pid_namespace" not in jail.layers()
    names = set(found.partition("['-c'], ")[2].strip("[])").replace("'", "").split(", "))
    assert "EVO_CLRS_CANARY" not in names and not {"HOME", "PATH", "USER"} & names
    environment = Path(f"/proc/{jail._warm._process.pid}/environ").read_text()
    assert sorted(environment.strip("\0").split("\0")) == sorted(
        f"{name}={value}" for name, value in ENVIRONMENT.items()
    )


def test_nothing_is_left_behind():
    with Jail() as jail:
        jail.layers()
        pid = jail._warm._process.pid
        with pytest.raises(Rejected):
            jail.trace(PROCESSOR, "import os; os._exit(1)", SIZES)
        _until(lambda: _children(pid) == [])
    assert not Path(f"/proc/{pid}").exists()


def test_jail_goes_with_its_parent():
    """Killed with SIGKILL while a guest runs, the parent takes everything with it."""
    code = textwrap.dedent(
        """
        from evo_clrs.jail.jail import Jail
        from evo_clrs.slots import PROCESSOR
        from evo_clrs.records import make_size
        jail = Jail()
        jail.layers()
        print(jail._warm._process.pid, flush=True)
        jail.trace(PROCESSOR, "while True: pass", [make_size(B=1, N=2, H=2, R=1)])
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=_environment()
    ) as parent:
        warm = int(parent.stdout.readline())
        _until(lambda: len(_tree(warm)) == 3)  # warm, keeper, guest
        tree = _tree(warm)
        parent.kill()
    _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in tree))


def test_weak_jail_still_kills_what_changed_its_session():
    """Without seccomp and namespaces a guest can fork; the keeper finds what it left."""
    code = textwrap.dedent(
        """
        import os, signal, socket, time
        from evo_clrs.jail import child, keeper, namespaces
        from evo_clrs.jail.limits import Limits
        import dataclasses
        namespaces.enter = lambda: ()
        def guest(*_):
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                if os.fork() == 0:
                    time.sleep(99)
                time.sleep(99)
            time.sleep(0.2)
            os._exit(0)
        child.run = guest
        ours, theirs = socket.socketpair()
        limits = dataclasses.asdict(Limits())
        keeper.keep(theirs, {"limits": limits, "weak": True}, ())
        print(ours.recv(1 << 16)[:4], len(keeper._descendants(os.getpid())))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=_environment(), timeout=60
    )
    assert done.stdout.split("\n")[0] == "b'EVO1' 0", done.stderr


def _alone(setup: str, attempt: str) -> str:
    """Runs an attempt in a process behind one wall only; returns the exception's name."""
    code = f"""
import os, socket, sys
from evo_clrs.jail import landlock, linux, namespaces, seccomp
linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
{setup}
try:
    {attempt}
    print("allowed", flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=_environment(), timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    root = Path(jail_module.__file__).parents[2]
    return {"PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"}


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def _tree(pid: int) -> list[int]:
    return [pid, *(other for child in _children(pid) for other in _tree(child))]


def _until(holds, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("attempt", "outcome"),
    [
        ("open('{inside}/file').read()", "allowed"),
        ("os.listdir('{inside}')", "allowed"),
        ("open('{outside}/file').read()", "PermissionError"),
        ("os.listdir('{outside}')", "PermissionError"),
        ("open('{inside}/file', 'a')", "PermissionError"),
        ("os.unlink('{inside}/file')", "PermissionError"),
        ("os.mkdir('{inside}/folder')", "PermissionError"),
    ],
)
def test_landlock_alone(tmp_path, attempt, outcome):
    folders = {name: tmp_path / name for name in ("inside", "outside")}
    for folder in folders.values():
        folder.mkdir()
        (folder / "file").write_text(CANARY)
    setup = f"landlock.restrict(['{folders['inside']}', '/not/there'])"
    assert _alone(setup, attempt.format(**folders)) == outcome


@pytest.mark.parametrize(
    ("attempt", "outcome"),
    [
        ("open('/etc/passwd').read()", "allowed"),
        ("open('/dev/null', 'w')", "PermissionError"),
        ("socket.socket()", "PermissionError"),
        ("os.fork()", "PermissionError"),
        ("os.execv('/bin/true', ['true'])", "PermissionError"),
        ("os.kill(os.getpid(), 0)", "PermissionError"),
        ("os.mkdir('/tmp/made-by-a-test')", "PermissionError"),
    ],
)
def test_seccomp_alone(attempt, outcome):
    assert _alone("seccomp.install()", attempt) == outcome


@pytest.mark.parametrize(
    ("attempt", "outcome"),
    [
        ("open('{inside}/file').read()", "allowed"),
        ("open('/dev/urandom', 'rb').read(1)", "allowed"),
        ("open('{outside}/file').read()", "FileNotFoundError"),
        ("os.stat('/etc/passwd')", "FileNotFoundError"),
        ("os.stat('/proc/1')", "FileNotFoundError"),
        ("open('{inside}/file', 'a')", "OSError"),
        ("open('/new', 'w')", "OSError"),
        ("socket.socket().connect(('127.0.0.1', 9))", "OSError"),
        ("os.kill(os.getppid(), 0)", "allowed"),  # 0 is its own group: its parent is out of sight
    ],
)
def test_namespaces_alone(jail, tmp_path, attempt, outcome):
    if "mount_namespace" not in jail.layers():
        pytest.skip("the kernel allows no mount namespace here")
    folders = {name: tmp_path / name for name in ("inside", "outside")}
    for folder in folders.values():
        folder.mkdir()
        (folder / "file").write_text(CANARY)
    setup = (
        "namespaces.enter()\n"
        "if os.fork(): os._exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        f"namespaces.isolate(['{folders['inside']}', '/dev/urandom'])"
    )
    assert _alone(setup, attempt.format(**folders)) == outcome


def test_seccomp_filters_are_known_for_two_machines():
    for machine in ("x86_64", "aarch64"):
        program = seccomp_program(machine)
        assert 0 < len(program) < 4096  # BPF_MAXINSNS
        for position, (code, if_true, if_false, _) in enumerate(program):
            if code in (0x15, 0x35):  # jumps stay inside
                assert position + 1 + max(if_true, if_false) < len(program)
    with pytest.raises(OSError, match="sparc"):
        seccomp_program("sparc")


def seccomp_program(machine: str):
    from evo_clrs.jail import seccomp

    return seccomp.assemble(machine, 1)


def test_the_jail_needs_no_socket_of_its_own_name(jail):
    """The channel to the warm process is a pair without a name: nobody else can connect."""
    jail.layers()
    assert jail._warm._socket.family == socket.AF_UNIX
    assert jail._warm._socket.getsockname() == ""
