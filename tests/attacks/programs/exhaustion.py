"""Attacks on time and memory: endless, huge and deep programs."""

from tests.attacks.attack import Attack, at_import, in_call

_TIME = "took more than"
_MEMORY = "used more than .* of memory|MemoryError"


def _at_import(name, tries, code, reason, static="the top level may hold only", endless=False):
    return Attack(name, tries, at_import(code), static, "trace", reason, endless)


def _in_call(name, tries, code, reason, static=None, ends="trace", endless=False):
    return Attack(name, tries, in_call(code), static, ends, reason, endless)


ATTACKS = (
    _at_import("endless_loop", "loops for ever", "while True: pass", _TIME, endless=True),
    _in_call(
        "endless_loop_in_call",
        "loops for ever where only tracing gets",
        "while True:\n    pass",
        _TIME,
        endless=True,
    ),
    _in_call(
        "huge_described_parameter",
        "has two TiB of parameters that nothing reads, described in a few bytes",
        "hk.get_parameter('dead', (1 << 19, 1 << 20), init=jnp.zeros)",
        "of memory, limit",
        ends="over_budget",
    ),
    _in_call(
        "endless_tracing",
        "traces operations for ever",
        "while True:\n    z = jnp.sin(z)",
        f"{_TIME}|{_MEMORY}",
        endless=True,
    ),
    _in_call(
        "endless_where_constant",
        "loops for ever over a condition that is known while tracing",
        "while z.shape[0] > 0:\n    z = z.reshape(z.shape)",
        f"{_TIME}|{_MEMORY}",
        endless=True,
    ),
    _in_call(
        "long_sum",
        "adds up a range for ever",
        "z = z + sum(range(10**12))",
        _TIME,
        None,
        endless=True,
    ),
    _in_call(
        "huge_power",
        "computes a number of a billion digits",
        "z = z * (7 ** 10**9 % 5)",
        _TIME + "|" + _MEMORY,
        endless=True,
    ),
    _in_call("huge_text", "multiplies a text", "x = len('x' * 10**11)", _MEMORY),
    _in_call("huge_list", "multiplies a list", "x = [0] * 10**11", _MEMORY),
    _at_import(
        "growing_list",
        "takes memory piece by piece",
        "x = []\nwhile True: x.append(bytearray(1 << 24))",
        _MEMORY,
    ),
    _in_call("huge_array", "makes a huge numpy array", "x = np.ones((1 << 20, 1 << 20))", _MEMORY),
    _in_call(
        "huge_constant",
        "exports a huge table of constants",
        "c = np.arange(1 << 21, dtype=np.float32).reshape(-1, 8) % 7\n"
        "z = z + jnp.asarray(c)[jnp.argmax(z, axis=-1)]",
        "its graph takes more than|reply is larger",
    ),
    _at_import(
        "sleep",
        "waits for ever, using nothing",
        "import time\ntime.sleep(10**6)",
        "took more than",
        "may not be imported so|the top level may hold only",
        endless=True,
    ),
    _at_import(
        "sleep_with_the_pipe_closed",
        "closes all descriptors and waits",
        "import os, time\nos.closerange(0, 200)\ntime.sleep(600)",
        "took more than",
        "may not be imported so|the top level may hold only",
        endless=True,
    ),
    _in_call(
        "deep_recursion",
        "calls itself for ever",
        "def f(x):\n    return f(x)\nz = f(z)",
        "RecursionError",
    ),
    _at_import(
        "deep_recursion_in_c",
        "recurses past the end of the stack",
        "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)",
        "crashed the interpreter|RecursionError",
        "may not be imported so|the top level may hold only",
    ),
    _in_call(
        "deep_tree",
        "hands a deeply nested tree to jax",
        "x = z\nfor _ in range(200000):\n    x = (x,)\nz = z + jax.tree_util.tree_leaves(x)[0]",
        "crashed the interpreter|RecursionError|Error",
    ),
    Attack(
        "deep_text",
        "nests brackets deeper than a parser can go",
        "x = " + "(" * 5000 + ")" * 5000 + "\n",
        "not Python",
        "trace",
        "SyntaxError|MemoryError|RecursionError",
    ),
    Attack(
        "deep_negation",
        "nests an expression deeper than a compiler can go",
        "x = " + "-" * 15000 + "1\n",
        "nested",
        "trace",
        "RecursionError|memory|crashed",
    ),
    _at_import(
        "slow_expression",
        "searches with a regular expression that takes ages",
        "import re\nre.match('(a+)+$', 'a' * 99 + 'b')",
        _TIME,
        "may not be imported so|the top level may hold only",
        endless=True,
    ),
    _at_import(
        "zip_bomb",
        "unpacks a few bytes to very many",
        "import bz2\nx = bz2.compress(bytes(10**8))\nfor _ in range(99):\n"
        "    x += x[:10]\n    y = bytearray(10**8) * 99",
        _MEMORY + "|" + _TIME,
        "may not be imported so|the top level may hold only",
    ),
    _at_import(
        "descriptor_flood",
        "opens descriptors until there are no more",
        "import os\nwhile True: os.dup(1)",
        "OSError: .*Too many open files",
        "may not be imported so|the top level may hold only",
    ),
    _at_import(
        "descriptors_closed",
        "closes every descriptor, that of the reply included",
        "import os\nos.closerange(0, 200)",
        "without a result|exit code",
        "may not be imported so|the top level may hold only",
    ),
    _at_import(
        "pipe_flood",
        "floods the pipe with large pieces",
        "import os\nwhile True: os.write(3, bytes(1 << 20))",
        "reply is larger than",
        "may not be imported so|the top level may hold only",
    ),
    _at_import(
        "pipe_trickle",
        "floods the pipe byte by byte, to keep its keeper busy",
        "import os\nwhile True: os.write(3, b'x')",
        _TIME,
        "may not be imported so|the top level may hold only",
        endless=True,
    ),
    _in_call(
        "slow_words",
        "raises an exception whose words never end",
        "class Words(ValueError):\n    def __str__(self):\n        while True:\n            pass\n"
        "raise Words()",
        _TIME,
        "`__str__`",
        endless=True,
    ),
    _in_call(
        "endless_iterator",
        "hands jax an iterator that never ends",
        "def forever():\n    while True:\n        yield z\nz = jnp.stack(list(forever()))",
        f"{_TIME}|{_MEMORY}",
        "`yield` is not allowed",
        endless=True,
    ),
    _in_call(
        "compiling_while_tracing",
        "has XLA compile and run within the jail",
        "x = jax.jit(jnp.sin).lower(1.0).compile()(1.0)\nz = z + float(x)",
        "",
        None,
        "graph",
    ),
)
