"""Renaming of locals, on random programs: what they compute must not change."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_clrs import program, scopes

# Few names, so that scopes shadow each other all the time.
NAMES = st.sampled_from(["a", "b", "c", "v0", "v1"])
LEAVES = NAMES | st.integers(0, 9).map(str)


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} + {})".format, inner, inner),
        st.builds("({} * 3 - {})".format, inner, inner),
        st.builds("sum([{} for {} in range({} % 4)])".format, inner, NAMES, inner),
        st.builds("len({{{} for {} in [1, 2] for {} in [{}]}})".format, inner, NAMES, NAMES, inner),
        st.builds("(lambda {}: {})({})".format, NAMES, inner, inner),
        st.builds("(lambda {0}, *rest, b={1}: {2})({0}=1)".format, NAMES, inner, inner),
        st.builds("{}({})".format, NAMES, inner),
        st.builds("{}({}={})".format, NAMES, NAMES, inner),
        st.builds("({} := {})".format, NAMES, inner),
        st.builds("sum([({} := {}) for {} in [1, 2]])".format, NAMES, inner, NAMES),
        st.builds("{}.{}({})".format, NAMES, NAMES, inner),
    )


EXPRESSIONS = st.recursive(LEAVES, _wider, max_leaves=6)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines] or ["    pass"]


def _block(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    body = st.lists(inner, max_size=4).map(lambda parts: [line for part in parts for line in part])
    return st.one_of(
        st.builds(
            lambda name, one, default, lines: [
                f"def {name}({one}, *, c={default}):",
                *_indented(lines),
            ],
            NAMES,
            st.sampled_from(["a", "b"]),
            LEAVES,
            body,
        ),
        st.builds(lambda name, lines: [f"class {name}:", *_indented(lines)], NAMES, body),
        st.builds(lambda name, lines: [f"for {name} in range(2):", *_indented(lines)], NAMES, body),
        body,
    )


SIMPLE = st.one_of(
    st.builds("{} = {}".format, NAMES, EXPRESSIONS).map(lambda line: [line]),
    st.builds("{} += {}".format, NAMES, EXPRESSIONS).map(lambda line: [line]),
    st.builds("trace({})".format, EXPRESSIONS).map(lambda line: [line]),
    st.builds("{} = lambda {}: {}".format, NAMES, NAMES, EXPRESSIONS).map(lambda line: [line]),
)
BLOCKS = st.recursive(SIMPLE, _block, max_leaves=12)
PROGRAMS = st.lists(BLOCKS, min_size=1, max_size=4).map(
    lambda blocks: "\n".join(
        ["def main(a, b):", *_indented([line for block in blocks for line in block])]
        + ["    trace(sum([b(i) for i in [a]]))", "main(2, lambda c: c + 1)"]
    )
)


def behaviour(text: str) -> tuple[list[object], str]:
    """Runs a program; returns what it traced, with objects by their type, and how it ended."""
    traced: list[object] = []
    calls = 0

    def trace(value: object) -> int:
        nonlocal calls
        calls += 1
        if calls > 200:
            raise OverflowError
        traced.append(value if isinstance(value, int) else type(value).__name__)
        return 1

    try:
        exec(compile(text, "program", "exec"), {"trace": trace})
    except RecursionError:
        return [], "RecursionError"
    except Exception as error:
        return traced, type(error).__name__
    return traced, ""


def compiles(text: str) -> bool:
    try:
        compile(text, "program", "exec")
    except SyntaxError:  # e.g. a walrus that rebinds the variable of a comprehension
        return False
    return True


@settings(deadline=None, max_examples=300)
@given(PROGRAMS.filter(compiles))
def test_renaming_does_not_change_what_a_program_does(text):
    form = program.normal_form(text)
    assert behaviour(form) == behaviour(text)
    assert program.normal_form(form) == form
    assert program.identity(form) == program.identity(text)


@settings(deadline=None, max_examples=200)
@given(PROGRAMS.filter(compiles), st.randoms(use_true_random=False))
def test_programs_of_one_identity_behave_alike(text, draw):
    """Swaps the meaning of two names at random places: where identity is kept, so is behaviour."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in "abc" and draw.random() < 0.3:
            node.id = draw.choice("abc")
    other = ast.unparse(tree)
    if compiles(other) and program.identity(other) == program.identity(text):
        assert behaviour(other) == behaviour(text)


@pytest.mark.parametrize(
    "text, free",
    [
        ("def f(a):\n    return a + b\n", ["b"]),
        ("x = 1\ndef f():\n    return x\n", []),
        ("def f():\n    return [i for i in i]\n", ["i"]),
        ("class A:\n    x = 1\n    def f(self):\n        return x\n", ["x"]),
        ("class A:\n    x = [1]\n    y = [i for i in x]\n    z = [x for i in y]\n", ["x"]),
        ("def f(a=a, *b: c, d: e = 1) -> g:\n    return b, d\n", ["a", "c", "e", "g"]),
        ("def f(x):\n    [y := i for i in x]\n    return y\n", []),
        ("f = lambda x, *y, z=w, **k: (x, y, z, k)\n", ["w"]),
        ("import os.path\nimport sys as s\nos, s, sys\n", ["sys"]),
    ],
)
def test_free_names_are_those_bound_nowhere(text, free):
    found = scopes.Scopes(ast.parse(text)).free()
    assert sorted(node.id for node in found) == free
