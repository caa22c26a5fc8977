"""The static gate: what it lets through, what it refuses and why it says so."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_clrs import programs
from evo_clrs.errors import Rejected
from evo_clrs.gates import static
from evo_clrs.slots import PROCESSOR, SLOTS, TRIPLET

TRIPLET_TEXT = programs.load("triplet")["v1_standard"]
PROCESSOR_TEXT = programs.load("processor")["triplet_gmpnn"]

# A triplet function whose body is given line by line.
OPENING = """import clrs
import haiku as hk
import jax
import jax.numpy as jnp
import math
import numpy as np


def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
"""
ENDING = "    return hk.Linear(out_size)(edge_fts)\n"


def triplet(*lines: str) -> str:
    return OPENING + "".join(f"    {line}\n" for line in lines) + ENDING


def processor(init: str, call: str, base: str = "clrs.processors.Processor") -> str:
    return (
        "import clrs\nimport haiku as hk\n\n\n"
        f"class Processor({base}):\n"
        f"    def __init__({init}):\n"
        "        super().__init__(name=name)\n"
        f"    def __call__({call}):\n"
        "        return hidden, None\n"
    )


def reason(source: str, slot=TRIPLET) -> str:
    with pytest.raises(Rejected) as caught:
        static.check(source, slot)
    assert caught.value.stage == "static"
    assert "\n" not in caught.value.reason
    return caught.value.reason


EVERY_PROGRAM = [
    pytest.param(SLOTS[slot], text, id=f"{slot}-{name}")
    for slot in (PROCESSOR.name, TRIPLET.name)
    for name, text in programs.load(slot).items()
]


@pytest.mark.parametrize("slot, text", EVERY_PROGRAM)
def test_every_program_that_comes_with_the_package_passes(slot, text):
    static.check(text, slot)


@pytest.mark.parametrize(
    "lines",
    [
        ["for i, head in enumerate(range(3)):", "    z = jax.nn.relu(z) + i"],
        ["input = jnp.max(z, axis=1).mean()", "type = input * jnp.finfo(jnp.float32).max"],
        ["def body(i, carry):", "    return carry * i", "z = jax.lax.fori_loop(0, 3, body, z)"],
        ["sizes = [k * 2 for k in (1, 2)]", "z = hk.nets.MLP(sizes, name=f'mlp_{len(sizes)}')(z)"],
        ["@jax.checkpoint", "def inner(x):", "    return jnp.linalg.norm(x, axis=-1)", "inner(z)"],
        ["w = hk.get_parameter('w', [3], init=hk.initializers.RandomNormal(1.0))"],
        ["noise = jax.random.normal(hk.next_rng_key(), z.shape) * math.sqrt(2.0) * np.pi"],
        ["b, n, *_ = z.shape", "while n > 1:", "    n //= 2", "z = z.at[:, 0].set(0.0)"],
        ["with hk.name_scope('inner'):", "    z = jax.vmap(lambda x: x + 1)(z)"],
        ["assert z.ndim == 3, 'z'", "if z is None:", "    raise ValueError('no z')"],
    ],
)
def test_ordinary_code_passes(lines):
    static.check(triplet(*lines), TRIPLET)


# Each bad line, and what the reason must name.
ATTACKS = [
    ("import os", "imports belong at the top"),
    ("from os import system", "`from ... import` is not allowed"),
    ("__import__('os').system('true')", "`__import__` is not available"),
    ("open('/etc/passwd').read()", "builtin `open`"),
    ("eval('1')", "builtin `eval`"),
    ("exec('x = 1')", "builtin `exec`"),
    ("compile('1', '', 'eval')", "builtin `compile`"),
    ("getattr(z, 'shape')", "builtin `getattr`"),
    ("setattr(z, 'shape', 1)", "builtin `setattr`"),
    ("globals()['jax']", "builtin `globals`"),
    ("locals()", "builtin `locals`"),
    ("vars(z)", "builtin `vars`"),
    ("print(z)", "builtin `print`"),
    ("input()", "builtin `input`"),
    ("breakpoint()", "builtin `breakpoint`"),
    ("type(z)", "builtin `type`"),
    ("memoryview(b'')", "builtin `memoryview`"),
    ("z.__class__", "`__class__`"),
    ("().__class__.__base__.__subclasses__()", "`__subclasses__`"),
    ("hk.Linear.__init__.__globals__", "`__globals__`"),
    ("get_triplet_msgs.__code__", "`__code__`"),
    ("__builtins__['open']", "`__builtins__`"),
    ("__name__", "`__name__`"),
    ("z.__init__()", "`super().__init__`"),
    ("'{0.__class__}'.format(z)", "attribute `format`"),
    ("'{z.__class__}'.format_map({})", "attribute `format_map`"),
    ("(i for i in z).gi_frame.f_back", "attribute `f_back`"),
    ("z.tofile('x')", "attribute `tofile`"),
    ("z.at._private", "private attribute `_private`"),
    ("m = jax", "module `jax` may only be used as"),
    ("[jnp][0].save('x', z)", "module `jnp` may only be used as"),
    ("jnp.save('x', z)", "`jnp.save`"),
    ("jax.numpy.load('x')", "`jax.numpy.load`"),
    ("np.fromfile('x')", "`np.fromfile`"),
    ("np.load('x', allow_pickle=True)", "`np.load`"),
    ("np.lib.format", "`np.lib.format`"),
    ("jax.pure_callback(len, z, z)", "`jax.pure_callback`"),
    ("jax.debug.print('x')", "`jax.debug.print`"),
    ("jax.debug.callback(len, z)", "`jax.debug.callback`"),
    ("jax.experimental.io_callback(len, z)", "`jax.experimental.io_callback`"),
    ("jax.config.update('jax_enable_x64', True)", "`jax.config.update`"),
    ("jax.devices()", "`jax.devices`"),
    ("jax.lax.psum(z, 'i')", "`jax.lax.psum`"),
    ("jax._src.lib", "`jax._src.lib`"),
    ("jax.nn.initializers", "`jax.nn.initializers`"),
    ("jax.nn = None", "`jax.nn` is not available"),
    ("jnp.pi = 3", "modules are read-only"),
    ("jnp = np", "`jnp` is an imported module"),
    ("hk.get_state('s')", "`hk.get_state` keeps state"),
    ("hk.set_state('s', 1)", "`hk.set_state` keeps state"),
    ("hk.BatchNorm(True, True, 0.9)", "`hk.BatchNorm` keeps state"),
    ("hk.experimental.lift(len)", "`hk.experimental.lift`"),
    ("clrs.create_dataset('bfs', '/tmp', 1, 'test')", "`clrs.create_dataset`"),
    ("clrs.processors.os.system('true')", "`clrs.processors.os.system`"),
    ("global z", "`global` is not allowed"),
    ("yield z", "`yield` is not allowed"),
    ("async def f(): pass", "`async def` is not allowed"),
    ("zz = undefined_name", "`undefined_name` is not defined"),
    ("f = lambda: (yield)", "`yield` is not allowed"),
    ("del jax", "`jax` is an imported module"),
    ("def f(__x): pass", "`__x`"),
]


@pytest.mark.parametrize("line, why", ATTACKS, ids=[line[:40] for line, _ in ATTACKS])
def test_attacks_are_refused_with_their_line_and_reason(line, why):
    said = reason(triplet(line))
    assert why in said
    assert said.startswith(f"line {OPENING.count(chr(10)) + 1}:")


@pytest.mark.parametrize(
    "lines, why",
    [
        (["try:", "    pass", "except ValueError:", "    pass"], "`try` is not allowed"),
        (["match z:", "    case _: pass"], "`match` is not allowed"),
        (["@len", "def f(): pass"], "decorator `@len` is not allowed"),
        (["@jax.jot", "def f(): pass"], "did you mean `@jax.jit`"),
        (["class A(metaclass=hk.Module): pass"], "metaclass"),
        (["class A:", "    __slots__ = ()"], "`__slots__`"),
        (["class A:", "    def __getattr__(self, k): pass"], "`__getattr__`"),
        (["class A:", "    f = open", "    open = 1"], "`open` is the name of a builtin"),
        (["def f():", "    x = 1", "    def g():", "        nonlocal x"], "`nonlocal`"),
    ],
)
def test_longer_attacks_are_refused(lines, why):
    assert why in reason(triplet(*lines))


@pytest.mark.parametrize(
    "extra, why",
    [
        ("import os\n", "`os` may not be imported so"),
        ("import numpy\n", "`import numpy as np`"),
        ("import jax.numpy\n", "`import jax.numpy as jnp`"),
        ("import os as jax\n", "`os` may not be imported so"),
        ("from jax import nn\n", "`from ... import`"),
        ("from __future__ import annotations\n", "`from ... import`"),
        ("print('x')\n", "the top level may hold only"),
        ("while True: pass\n", "the top level may hold only"),
        ("open = open\n", "`open` is the name of a builtin"),
        ("x: open = 1\n", "builtin `open`"),
        ("get_triplet_msgs = 1\n", "defined more than once"),
    ],
)
def test_top_level_statements_are_checked(extra, why):
    assert why in reason(triplet() + extra)


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "does not define the function `get_triplet_msgs`"),
        ("x = (\n", "line 1: not Python"),
        ("def f(:\n", "line 1: not Python"),
        ("x = 1\n  y = 2\n", "line 2: not Python"),
        ("x = 1\0", "null byte"),
        ("x = '\ud800'", "lone surrogate"),
        ("# " + "x" * 20_000, "too long"),
        ("x = " + "(" * 250 + ")" * 250, "line 1: not Python"),
        ("x = " + "-" * 3000 + "1", "nested"),
        ("x = " + "+".join(["1"] * 5000), "nested"),
        ("x = z" + ".a" * 3000, "nested"),
        ("x = 0x" + "f" * 5000, "integer too long"),
        ("get_triplet_msgs = 1\n", "must be a function"),
        ("class get_triplet_msgs: pass\n", "must be a function"),
        ("if True:\n    def get_triplet_msgs(): pass\n", "the top level may hold only"),
    ],
    ids=range(15),
)
def test_broken_text_is_refused(text, why):
    assert why in reason(text)


@pytest.mark.parametrize(
    "parameters, why",
    [
        ("z, edge_fts, graph_fts, nb_triplet_fts, out_size", None),
        ("z, e, g, nb_triplet_fts=8, out_size=128, extra=1", None),
        ("z, e, g, *, out_size, nb_triplet_fts", None),
        ("*tensors, out_size, nb_triplet_fts", None),
        ("z, e, g, **sizes", None),
        ("z, e", "takes only 2 arguments by position"),
        ("z, e, g, nb_triplet_fts", "`out_size` cannot be passed by keyword"),
        ("z, e, g, nb_triplet_fts, out_size, extra", "`extra` has no default"),
        ("z, e, g, nb_triplet_fts, out_size, *, extra", "`extra` has no default"),
        ("z, e, g, nb_triplet_fts, out_size, /", "cannot be passed by keyword"),
        ("out_size, z, e, g, nb_triplet_fts", "`out_size` cannot be passed by keyword"),
        ("z, e, out_size, g, **nb", "`out_size` cannot be passed by keyword"),
    ],
)
def test_the_signature_of_a_function_slot(parameters, why):
    text = f"def get_triplet_msgs({parameters}):\n    return 1\n"
    if why is None:
        static.check(text, TRIPLET)
    else:
        assert why in reason(text)


CALL = "self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused"


@pytest.mark.parametrize(
    "init, call, base, why",
    [
        ("self, out_size, name='p'", CALL, "clrs.processors.Processor", None),
        (
            "self, out_size, name='p', heads=4",
            "self, n, e, g, a, hidden, batch_size, nb_nodes",
            "clrs.processors.Processor",
            None,
        ),
        ("self, out_size, name='p'", CALL, "hk.Module", "must have the one base"),
        ("self, name='p'", CALL, "clrs.processors.Processor", "`out_size` cannot be passed"),
        ("self, out_size, heads, name", CALL, "clrs.processors.Processor", "`heads` has no"),
        (
            "self, out_size, name='p'",
            "self, node_fts, hidden, **unused",
            "clrs.processors.Processor",
            "takes only 2 arguments by position",
        ),
        (
            "self, out_size, name='p'",
            "self, n, e, g, a, hidden",
            "clrs.processors.Processor",
            "`batch_size` cannot be passed by keyword",
        ),
        ("*, out_size, name='p'", CALL, "clrs.processors.Processor", "must take `self` first"),
    ],
)
def test_the_signature_of_a_class_slot(init, call, base, why):
    text = processor(init, call, base)
    if why is None:
        static.check(text, PROCESSOR)
    else:
        assert why in reason(text, PROCESSOR)


@pytest.mark.parametrize("method", ["__init__", "__call__"])
def test_a_class_must_have_its_methods(method):
    text = processor("self, out_size, name='p'", CALL).replace(f"def {method}", "def other")
    text = text.replace("super().__init__(name=name)", "pass")
    assert f"does not define `{method}`" in reason(text, PROCESSOR)


def test_the_reason_names_what_was_meant():
    said = reason(triplet("z = hk.Linaer(3)(z)"))
    assert said == "line 10: `hk.Linaer` is not available to programs; did you mean `hk.Linear`?"


def test_the_reason_names_a_missing_import():
    text = "def get_triplet_msgs(z, e, g, nb_triplet_fts, out_size):\n    return jnp.max(z)\n"
    assert reason(text) == "line 2: `jnp` is used without `import jax.numpy as jnp`"


@given(st.text())
def test_any_text_is_refused_and_nothing_else_is_raised(text):
    reason(text)


MUTATIONS = ["(", ")", ":", "\n", " ", "=", "*", "lambda", "class", "__x__", "\x00", "é", '"""']


@settings(deadline=None)
@given(
    st.sampled_from([(TRIPLET, TRIPLET_TEXT), (PROCESSOR, PROCESSOR_TEXT)]),
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 12), st.sampled_from(MUTATIONS)),
        min_size=1,
        max_size=4,
    ),
)
def test_mutated_programs_pass_or_are_refused_and_nothing_else_is_raised(program, cuts):
    slot, text = program
    for place, length, new in cuts:
        place %= len(text)
        text = text[:place] + new + text[place + length :]
    try:
        static.check(text, slot)
    except Rejected as rejection:
        assert re.fullmatch(r"[^\n]+", rejection.reason)
