"""Attacks on other processes, and ways to end, hide or outlive one's own."""

from tests.attacks.attack import PARENT, Attack, at_import

_REFUSED = "PermissionError|BlockingIOError|ProcessLookupError|OSError"


def _at_import(
    name,
    tries,
    code,
    reason,
    static="may not be imported so|the top level may hold only",
    endless=False,
):
    return Attack(name, tries, at_import(code), static, "trace", reason, endless)


ATTACKS = (
    _at_import("fork_bomb", "forks for ever", "import os\nwhile True: os.fork()", _REFUSED),
    _at_import(
        "fork_bomb_of_processes",
        "starts processes through multiprocessing",
        "import multiprocessing\ncontext = multiprocessing.get_context('fork')\n"
        "while True: context.Process(target=print).start()",
        _REFUSED,
    ),
    _at_import(
        "fork_by_number",
        "forks by system calls that Python does not know",
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "calls = [(57,), (58,), (56, 17), (435, 0, 0)]\n"
        "results = [libc.syscall(*map(ctypes.c_long, call)) for call in calls]\n"
        "raise ValueError(results)",
        r"ValueError: \[-1, -1, -1, -1\]",
    ),
    _at_import(
        "threads",
        "starts threads until there is no room for more",
        "import threading, time\n"
        "while True: threading.Thread(target=time.sleep, args=(60,)).start()",
        "thread",
    ),
    _at_import(
        "command",
        "runs a command",
        "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'env > /tmp/left-behind'])",
        _REFUSED,
    ),
    _at_import("shell", "runs a shell", "import os\nraise ValueError(os.system('id'))", "ValueErr"),
    _at_import(
        "exec", "becomes another program", "import os\nos.execv('/bin/sh', ['sh'])", "Error"
    ),
    _at_import("spawn", "spawns", "import os\nos.posix_spawn('/bin/sh', ['sh'], {})", _REFUSED),
    _at_import(
        "session_escape",
        "leaves its session, so that killing its group would miss it",
        "import os\nos.setsid()",
        _REFUSED,
    ),
    _at_import(
        "daemon",
        "leaves a child behind that outlives it",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\nos._exit(0)",
        _REFUSED,
    ),
    _at_import(
        "killing_the_parent",
        "kills the process that started it",
        f"import os, signal\nos.kill({PARENT}, signal.SIGKILL)",
        _REFUSED,
    ),
    _at_import(
        "killing_the_keeper", "kills its keeper", "import os\nos.kill(os.getppid(), 9)", "Err"
    ),
    _at_import("killing_everybody", "kills what it can", "import os\nos.kill(-1, 9)", _REFUSED),
    _at_import("killing_its_group", "kills its group", "import os\nos.killpg(0, 9)", _REFUSED),
    _at_import(
        "signal_by_number",
        "signals others by system calls that Python does not know",
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"calls = [(62, {PARENT}, 9), (200, {PARENT}, 9), (234, {PARENT}, {PARENT}, 9),\n"
        f"         (424, 0, 9, 0, 0), (129, {PARENT}, 9, 0)]\n"
        "results = [libc.syscall(*map(ctypes.c_long, call)) for call in calls]\n"
        "raise ValueError(results)",
        r"ValueError: \[-1, -1, -1, -1, -1\]",
    ),
    _at_import(
        "rare_calls",
        "tries calls through which others have escaped: rings, keys, handles, mounts, x32",
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "calls = [(425, 8, 0), (319, 0, 0), (323, 1), (250, 0, -4, 0),\n"
        "         (248, 0, 0, 0, 0, -2), (298, 0, 0, -1, -1, 0), (321, 0, 0, 0),\n"
        "         (304, -100, 0, 0), (303, -100, 0, 0, 0), (434, 1, 0), (438, 3, 0, 0),\n"
        "         (312, 1, 1, 0, 0, 0), (29, 1, 4096, 0o1777), (64, 1, 1, 0o1777),\n"
        "         (68, 1, 0o1777), (240, 0, 0o102, 0, 0), (275, 0, 0, 1, 0, 1),\n"
        "         (437, -100, 0, 0, 24), (0x40000002, 0, 0), (0x40000027,),\n"
        "         (165, 0, 0, 0, 0, 0), (430, 0, 0), (428, -100, 0, 0), (444, 0, 0, 1),\n"
        "         (222, 0, 0, 0), (300, 0, 0), (135, 0xffffffff), (154, 0, 0, 0),\n"
        "         (158, 0x1003, 0), (308, 0, 0), (90, 0, 0), (141, 0, 0, -20),\n"
        "         (203, 0, 8, 0), (155, 0, 0), (16, 0, 0x5412, 0)]\n"
        "found = [call for call in calls if libc.syscall(*map(ctypes.c_long, call)) != -1]\n"
        "raise ValueError(found)",
        r"ValueError: \[\]",
    ),
    _at_import(
        "other_interface",
        "makes system calls by the interface of 32-bit programs, which has numbers of its own",
        "import ctypes, mmap\npage = mmap.mmap(-1, 4096, prot=7)\n"
        "page.write(bytes.fromhex('b814000000cd80c3'))\n"  # mov eax, 20 (getpid); int 0x80; ret
        "code = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
        "raise ValueError(ctypes.CFUNCTYPE(ctypes.c_long)(code)())",
        "SIGSYS",
    ),
    _at_import(
        "tracing_others",
        "attaches to another process as a debugger does",
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"calls = [(101, 16, {PARENT}, 0, 0), (310, {PARENT}, 0, 0, 0, 0, 0)]\n"
        "raise ValueError([libc.syscall(*map(ctypes.c_long, call)) for call in calls])",
        r"ValueError: \[-1, -1\]",
    ),
    _at_import(
        "limits_raised",
        "raises its own limits",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "ValueError|PermissionError|OSError",
    ),
    _at_import(
        "limits_of_others",
        "lowers the limits of its keeper",
        "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "ValueError|PermissionError|OSError",
    ),
    _at_import(
        "filter_replaced",
        "replaces its seccomp filter and asks for new rights",
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "raise ValueError([libc.prctl(22, 0), libc.prctl(38, 0, 0, 0, 0), libc.prctl(4, 1),\n"
        "                  libc.setuid(0), libc.chroot(b'/'), libc.unshare(0x10000000)])",
        r"ValueError: \[-1, -1, -1, -1, -1, -1\]",
    ),
    _at_import(
        "deaf",
        "ignores every signal and runs for ever",
        "import signal\nfor number in range(1, 65):\n    try:\n"
        "        signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError):\n"
        "        pass\nwhile True: pass",
        "took more than",
        endless=True,
    ),
    _at_import(
        "unnamed_signal",
        "ends by a signal that has no name",
        "import ctypes, os\nlibc = ctypes.CDLL(None)\n"
        "libc.syscall(234, os.getpid(), os.getpid(), 40)\nos._exit(3)",
        "crashed the interpreter|exit code 3",
    ),
    _at_import(
        "stopped",
        "stops itself, to be waited for for ever",
        "import ctypes, os, time\n"
        "ctypes.CDLL(None).syscall(234, os.getpid(), os.getpid(), 19)\ntime.sleep(600)",
        "took more than",
        endless=True,
    ),
    _at_import("exit_at_once", "ends well, without a reply", "import os\nos._exit(0)", "without a"),
    _at_import(
        "exit_with_code", "ends with an exit code", "import os\nos._exit(77)", "exit code 77"
    ),
    _at_import(
        "system_exit", "raises SystemExit", "raise SystemExit(0)", "SystemExit", "top level"
    ),
    _at_import("abort", "aborts", "import os\nos.abort()", "crashed the interpreter"),
    _at_import(
        "crash", "reads at 0", "import ctypes\nctypes.string_at(0)", "crashed the interpreter"
    ),
    _at_import(
        "late_thread",
        "leaves a thread that writes to the pipe while the reply is sent",
        "import os, threading\n"
        "def shout():\n    while True: os.write(3, b'EVO1')\n"
        "threading.Thread(target=shout, daemon=True).start()",
        "malformed|larger than|took more than",
        endless=True,
    ),
    _at_import(
        "farewell",
        "runs for ever when the interpreter ends",
        "import atexit\n"
        "def forever():\n    while True: pass\n"
        "atexit.register(forever)\nraise SystemExit(0)",
        "SystemExit",
    ),
)
