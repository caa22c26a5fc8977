"""Identity of programs: what counts and what does not."""

import ast
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_clrs import program, programs, scopes
from evo_clrs.slots import PROCESSOR, SLOTS, TRIPLET

TEXTS = {
    f"{slot}/{name}": text
    for slot in (PROCESSOR.name, TRIPLET.name)
    for name, text in programs.load(slot).items()
}

BASE = '''
"""What this is."""
import jax
import haiku as hk


def helper(x, axis=1):
    """What this does."""
    total = sum([part * 2 for part in x])  # a comment

    def body(step, carry):
        return carry + step

    act = lambda value: value + total
    return jax.lax.fori_loop(0, 3, body, act(x)), axis


def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    result, last = helper(z, axis=2)
    for index, (left, right) in enumerate(result):
        result = result + left * right
    return hk.Linear(out_size)(result)
'''


def same(first: str, second: str) -> bool:
    return program.identity(first) == program.identity(second)


def test_an_identity_is_sixteen_hexadecimal_digits():
    assert len(program.identity(BASE)) == 16
    assert int(program.identity(BASE), 16) >= 0


# Edits of BASE that do not change what it is.
@pytest.mark.parametrize(
    "old, new",
    [
        ("# a comment", "# another"),
        ('"""What this is."""', ""),
        ('"""What this does."""', "'Something else.'"),
        ("    return hk", "\n\n    pass\n    return hk"),
        ("left * right", "(left*\n        right)"),
        ("part", "piece"),
        ("total", "_sum"),
        ("index", "edge"),
        ("left", "v0"),
        ("step", "i"),
        ("body", "one_step"),
        ("value", "x"),
        ("act", "activation"),
        ("result", "helper_result"),
        ("(x, axis=1)", "(x, axis=(1))"),
    ],
)
def test_appearance_does_not_count(old, new):
    assert old in BASE
    assert same(BASE, BASE.replace(old, new))


# Edits of BASE that do change it, or that someone outside could see.
@pytest.mark.parametrize(
    "old, new",
    [
        ("* 2", "* 3"),
        ("* 2", "* 2.0"),
        ("* 2", "* True"),
        ("left * right", "left + right"),
        ("left * right", "left * left"),
        ("index, (left, right)", "index, (right, left)"),
        ("axis=1", "axis=2"),
        ("axis", "axes"),
        ("helper", "other"),
        ("edge_fts", "edges"),
        ("nb_triplet_fts, out_size", "out_size, nb_triplet_fts"),
        ("hk.Linear", "hk.Bias"),
        ("carry + step", "step + carry"),
        ("fori_loop(0,", "fori_loop(1,"),
        ("    return hk", "    z = 1\n    return hk"),
        ("import haiku as hk", "import jax as hk"),
    ],
)
def test_substance_counts(old, new):
    assert old in BASE
    assert not same(BASE, BASE.replace(old, new))


@pytest.mark.parametrize(
    "first, second",
    [
        # A global and a local are not the same name.
        ("x = 1\ndef f(y):\n    return x\n", "x = 1\ndef f(y):\n    return y\n"),
        # A name that is only read is not a local.
        ("def f():\n    return abs(a)\n", "def f():\n    return abs(b)\n"),
        # Parameters that may be passed by keyword from outside.
        ("def f(a, b):\n    return a\n", "def f(b, a):\n    return b\n"),
        ("def f(a):\n    return a\nf(a=1)\n", "def f(b):\n    return b\nf(a=1)\n"),
        (
            "def f(a, *, k):\n    return a\ng = f\nf(1)\n",
            "def f(b, *, k):\n    return b\ng = f\nf(1)\n",
        ),
        ("def f(a):\n    return a\nf(**{'a': 1})\n", "def f(b):\n    return b\nf(**{'a': 1})\n"),
        # The definition of a slot is called from outside even where it also calls itself.
        (
            "def get_triplet_msgs(z):\n    return get_triplet_msgs(z)\n",
            "def get_triplet_msgs(y):\n    return get_triplet_msgs(y)\n",
        ),
        # Class bodies look names up otherwise than functions do.
        (
            "def f(x):\n    class A:\n        x = x\n    return A\n",
            "def f(y):\n    class A:\n        x = y\n    return A\n",
        ),
        ("class A:\n    a = 1\n", "class A:\n    b = 1\n"),
        ("class A:\n    def f(self, a): pass\n", "class A:\n    def f(self, b): pass\n"),
        # Haiku names parameters after the functions it wraps.
        (
            "import haiku as hk\ndef f(x):\n    def g(): pass\n    return hk.to_module(g)\n",
            "import haiku as hk\ndef f(x):\n    def h(): pass\n    return hk.to_module(h)\n",
        ),
        # Programs that can look at themselves.
        (
            "def f():\n    a = 1\n    return locals()\n",
            "def f():\n    b = 1\n    return locals()\n",
        ),
        ("def f():\n    'a'\ny = f.__doc__\n", "def f():\n    'b'\ny = f.__doc__\n"),
        ("def f():\n    a = 1\n    eval('a')\n", "def f():\n    b = 1\n    eval('a')\n"),
        ("import sys\ndef f():\n    a = 1\n", "import sys\ndef f():\n    b = 1\n"),
        # Statements whose scoping is not followed.
        (
            "def f():\n    a = 1\n    def g():\n        nonlocal a\n        a = 2\n",
            "def f():\n    a = 1\n    def g():\n        nonlocal a\n        b = 2\n",
        ),
        # Private names inside a class are rewritten by Python.
        (
            "class A:\n    def f(self):\n        __x = 1\n        return _A__x\n",
            "class A:\n    def f(self):\n        __y = 1\n        return _A__x\n",
        ),
    ],
    ids=range(17),
)
def test_names_that_can_be_seen_from_outside_count(first, second):
    assert not same(first, second)


def test_a_walrus_in_a_comprehension_binds_in_the_function():
    text = "def f(x):\n    [last := part for part in x]\n    return last\n"
    assert same(text, text.replace("last", "end"))
    assert not same(text, text.replace("return last", "return part"))


def test_canonical_names_do_not_collide_with_names_that_stay():
    text = "def f(x, *rest):\n    one = rest\n    return v0, v1, v2, one\n"
    form = program.normal_form(text)
    assert "v0, v1, v2" in form
    assert not same(text, text.replace("v0", "one"))


def test_the_definitions_of_all_slots_are_known():
    assert {slot.definition for slot in SLOTS.values() if slot.space is None} <= scopes.DEFINITIONS


@pytest.mark.parametrize("name", TEXTS)
def test_a_normal_form_is_its_own(name):
    form = program.normal_form(TEXTS[name])
    assert program.normal_form(form) == form
    assert same(form, TEXTS[name])


def test_a_normal_form_behaves_the_same():
    text = (
        "def helper(first, *rest, scale=2):\n"
        "    'doc'\n"
        "    pairs = [(one, two) for one in rest for two in rest if one < two]\n"
        "    double = lambda value: value * scale\n"
        "    def inner(key, *, step=1):\n"
        "        first_key = key + step\n"
        "        return first_key + first\n"
        "    return {str(p): double(inner(p[0], step=3)) for p in pairs}\n"
        "answer = helper(1, 2, 3, 4, scale=5)\n"
    )
    spaces: list[dict] = [{}, {}]
    exec(text, spaces[0])
    exec(program.normal_form(text), spaces[1])
    assert "first_key" not in program.normal_form(text)
    assert spaces[0]["answer"] == spaces[1]["answer"] == {"(2, 3)": 30, "(2, 4)": 30, "(3, 4)": 35}


def test_programs_of_the_package_all_differ():
    assert len({program.identity(text) for text in TEXTS.values()}) == len(TEXTS)


class _Rename(ast.NodeTransformer):
    """Renames the variables that a function assigns, by Python's own view of its code."""

    def __init__(self, names: dict[str, str]):
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)


def _variables(tree: ast.Module) -> list[str]:
    """Names that are only ever variables in this program: never parameters, never global."""
    stored = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    fixed = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for body in [tree.body, *(node.body for node in classes)]:
        for statement in body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                fixed |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    return sorted(stored - fixed)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(TEXTS)), st.randoms(use_true_random=False))
def test_renaming_variables_keeps_the_identity(name: str, draw: random.Random):
    tree = ast.parse(TEXTS[name])
    variables = _variables(tree)
    new = [f"{draw.choice('abvxyz_')}{number}_new" for number in range(len(variables))]
    draw.shuffle(new)
    renamed = ast.unparse(_Rename(dict(zip(variables, new, strict=True))).visit(tree))
    assert same(renamed, TEXTS[name])


class _Change(ast.NodeTransformer):
    """Changes the n-th constant, operator or attribute that it meets."""

    def __init__(self, target: int):
        self.left = target
        self.changed = False

    def _hit(self) -> bool:
        self.left -= 1
        self.changed |= self.left == -1
        return self.left == -1

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if isinstance(node.value, ast.Constant):
            return node  # a docstring
        self.generic_visit(node)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float | str):
            return node
        if not self._hit():
            return node
        value = node.value
        return ast.Constant(value + "x" if isinstance(value, str) else value + 1)

    def visit_BinOp(self, node: ast.BinOp) -> ast.BinOp:
        self.generic_visit(node)
        if self._hit():
            node.op = ast.Mult() if not isinstance(node.op, ast.Mult) else ast.Sub()
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        self.generic_visit(node)
        if self._hit():
            node.attr += "x"
        return node


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(TEXTS)), st.integers(0, 60))
def test_changing_a_constant_operator_or_attribute_changes_the_identity(name, target):
    change = _Change(target)
    changed = ast.unparse(ast.fix_missing_locations(change.visit(ast.parse(TEXTS[name]))))
    assert same(changed, TEXTS[name]) is not change.changed


@pytest.mark.parametrize(
    "text, why",
    [
        ("x = (", "line 1: not Python"),
        ("x = 1\nif x\n", "line 2: not Python"),
        ("\n\0", "line 2: holds a null byte"),
        ("\ud800", "lone surrogate"),
        ("#" * 30_000, "too long"),
        ("x = " + "-" * 5000 + "1", "nested"),
        ("\n\nx = " + "[" * 120 + "]" * 120, "line 3: nested more than 100"),
        ("x = 0x" + "f" * 9000, "line 1: integer too long"),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("function", [program.parse, program.normal_form, program.identity])
def test_what_is_no_program_says_so_in_one_line(function, text, why):
    with pytest.raises(ValueError, match=why) as caught:
        function(text)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="abx=()[]:,.*\n \t'\"0123\\#@{}fdeins\x00é"))
def test_any_text_has_an_identity_or_a_value_error(text):
    try:
        assert len(program.identity(text)) == 16
    except ValueError as error:
        assert "\n" not in str(error)
