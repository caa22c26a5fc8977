"""What a bad program gets: a reason that a person understands, within its limits."""

import os
import time

import pytest

from evo_clrs.errors import Rejected
from evo_clrs.jail.jail import Jail
from evo_clrs.jail.limits import Limits
from evo_clrs.slots import PROCESSOR, TRIPLET
from tests.jail.guests import HEADER, MPNN, SIZES, line_of, processor

RULE = "parameters must not depend on the size"


def reason(jail: Jail, source: str, slot=PROCESSOR) -> str:
    """Returns why a program is rejected."""
    with pytest.raises(Rejected) as caught:
        jail.trace(slot, source, SIZES)
    assert caught.value.stage == "trace"
    return caught.value.reason


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return node_fts[..., :2], None", "returned node of shape (2, 3, 2), expected (2, 3, 4)"),
        ("return node_fts[0], None", "returned node of shape (3, 4), expected (2, 3, 4)"),
        (
            "return node_fts, edge_fts[:, 0]",
            "returned edge of shape (2, 3, 4), expected (2, 3, 3, any)",
        ),
        (
            "return node_fts.astype(jnp.bfloat16), None",
            "returned node of type bfloat16, expected float32",
        ),
        ("return jnp.argsort(node_fts), None", "returned node of type int32, expected float32"),
        ("return None, edge_fts", "returned node as NoneType, expected an array"),
        ("return [[1.0]], None", "returned node as list, expected an array"),
        ("return node_fts", "expected (node, edge)"),
        ("return node_fts, None, hidden", "returned 3 values, expected (node, edge)"),
        ("pass", "returned NoneType, expected (node, edge)"),
    ],
)
def test_wrong_outputs(jail, body, expected):
    assert expected in reason(jail, processor(body))


def test_triplet_function_returns_one_array(jail):
    source = HEADER + (
        "def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):\n"
        "    return edge_fts, None\n"
    )
    expected = "returned edge as tuple, expected an array"
    assert reason(jail, source, TRIPLET) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "return hk.Linear(4)(node_fts.reshape(2, -1))[:, None] + node_fts, None",
            f"parameter test_clrs_processor/linear/w has shape (12, 4) at N=3 but (20, 4) at N=5: "
            f"{RULE}",
        ),
        (
            "if node_fts.shape[1] == 3: node_fts = hk.Linear(4)(node_fts)\nreturn node_fts, None",
            f"parameter test_clrs_processor/linear/b exists at N=3 but not at N=5: {RULE}",
        ),
        (
            "w = hk.get_parameter('w', (4,), jnp.int32, init=jnp.zeros)\nreturn node_fts + w, None",
            "parameter test_clrs_processor/w is int32, expected float32",
        ),
        (
            "return hk.BatchNorm(True, True, 0.9)(node_fts, True), None",
            "slots are stateless",
        ),
    ],
)
def test_wrong_parameters(jail, body, expected):
    assert expected in reason(jail, processor(body))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return foo, None", "NameError: name 'foo' is not defined"),
        ("return node_fts @ edge_fts, None", "ValueError: Incompatible types"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("return float(node_fts[0, 0, 0]) + node_fts, None", "ConcretizationTypeError: "),
        ("f = lambda x: f(x); return f(1)", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_exceptions_name_the_line(jail, body, expected):
    source = processor(body)
    line = line_of(source, body)
    assert reason(jail, source).startswith(f"line {line}: {expected}")


def test_syntax_errors_name_the_line(jail):
    assert reason(jail, "x = 1\ny = = 2\n") == "line 2: SyntaxError: invalid syntax"


def test_reasons_are_one_clean_line(jail):
    body = r"raise ValueError('\n\x1b[31mno /home/somebody/secret/file.py\nand long')"
    found = reason(jail, processor(body))
    assert found.endswith("ValueError: [31mno file.py")
    assert len(reason(jail, processor("raise ValueError('x' * 10**6)"))) < 400


def test_definition_is_missing(jail):
    assert reason(jail, HEADER) == "does not define Processor"
    assert reason(jail, "class Processor: pass") == (
        "Processor does not extend clrs.processors.Processor"
    )
    assert reason(jail, "get_triplet_msgs = 3", TRIPLET) == "get_triplet_msgs is not a function"


def test_properties_are_yes_or_no(jail):
    source = MPNN.replace("self.out_size = out_size", "self.__class__.inf_bias = 'maybe'")
    assert reason(jail, source) == "property inf_bias is str, expected True or False"


@pytest.mark.parametrize("call", ["debug.callback(print, z)", "debug.print('{}', z)"])
def test_graphs_do_not_call_back(jail, call):
    source = processor(f"z = node_fts\njax.jit(lambda z: jax.{call})(z)\nreturn z, None")
    assert "a graph cannot reach out of itself" in reason(jail, source)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os; os._exit(0)", "ended the interpreter without a result"),
        ("import os; os._exit(7)", "ended the interpreter with exit code 7"),
        ("import os; os.abort()", "crashed the interpreter (SIG"),
        ("import ctypes; ctypes.string_at(0)", "crashed the interpreter (SIGSEGV)"),
        ("import os; os.write(3, b'nonsense')", "its reply is malformed"),
        ("import os; os.close(3)", "ended the interpreter without a result"),
        (
            "import os\n"
            "from evo_clrs.jail import frames\n"
            "os.write(3, frames.encode({'parameters': [], 'outputs': [], 'properties': {}}))\n"
            "os._exit(0)",
            "its reply is malformed",
        ),
        ("import os\nwhile True: os.write(3, bytes(1 << 20))", "its reply is larger than 4 MiB"),
        ("import numpy as np; x = np.ones(1 << 28)", "used more than 1 GiB of memory"),
        ("x = []\nwhile True: x.append(bytearray(1 << 24))", "used more than 1 GiB of memory"),
        (
            "import threading, time\n"
            "for _ in range(99): threading.Thread(target=time.sleep, args=(9,)).start()\n"
            "time.sleep(9)",
            "thread",
        ),
    ],
)
def test_rude_programs(jail, code, expected):
    assert expected in reason(jail, code)
    assert jail.last["wall_seconds"] < 20


def test_huge_graphs(jail):
    body = "c = np.random.normal(size=(1 << 20,)).astype('f')\nreturn node_fts + jnp.sum(c), None"
    body = body.replace("jnp.sum(c)", "jnp.asarray(c)[jnp.int32(node_fts[0, 0, 0])]")
    assert reason(jail, processor(body)) == "its graph takes more than 4 MiB"


@pytest.mark.parametrize(
    ("limits", "code", "expected"),
    [
        (Limits(cpu_seconds=0.5), "while True: pass", "took more than 0.5 s of CPU time"),
        (
            Limits(cpu_seconds=0.5),
            "import signal\n"
            "for s in (2, 15, 24, 25): signal.signal(s, signal.SIG_IGN)\n"
            "while True: pass",
            "took more than 0.5 s of CPU time",
        ),
        (Limits(wall_seconds=1), "import time; time.sleep(60)", "took more than 1 s"),
        (
            Limits(wall_seconds=1),
            "import os, time\nos.closerange(0, 99); time.sleep(60)",
            "took more than 1 s",
        ),
    ],
)
def test_endless_programs(limits, code, expected):
    with Jail(limits) as jail:
        jail.layers()
        started = time.monotonic()
        assert reason(jail, code) == expected
        assert time.monotonic() - started < 10


def test_jail_goes_on_after_its_warm_process_died(jail):
    jail.layers()
    os.kill(jail._warm._process.pid, 9)
    assert jail.trace(PROCESSOR, MPNN, SIZES[:1]).slot == "processor"


@pytest.mark.parametrize(
    ("field", "value"),
    [("cpu_seconds", 0), ("wall_seconds", -1.0), ("memory_bytes", 1), ("open_files", 2.5)],
)
def test_limits_are_checked(field, value):
    with pytest.raises(ValueError, match=field):
        Limits(**{field: value})


def test_a_signal_without_a_name_is_a_rejection_as_well():
    ending = {"cause": "signal", "code": 40, "memory_bytes": 0}
    with Jail() as jail, pytest.raises(Rejected, match=r"crashed the interpreter \(signal 40\)"):
        jail._refuse(ending)


def test_a_pipe_that_never_runs_dry_does_not_keep_the_keeper_from_its_limits():
    code = "import os\nwhile True: os.write(3, b'x')"
    with Jail(Limits(wall_seconds=1.5)) as jail:
        jail.layers()
        assert reason(jail, code) == "took more than 1.5 s"
        assert jail.last["wall_seconds"] < 5
