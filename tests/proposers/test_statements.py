"""Lines while they are written: names as Python finds them, and what may go on."""

import pytest

from evo_clrs import program, programs
from evo_clrs.proposers import statements

SOURCES = {
    f"{slot}/{name}": source
    for slot in ("processor", "triplet", "network")
    for name, source in programs.load(slot).items()
}
LINES = program.bare(SOURCES["network/gru"]).splitlines()


def indent(line):
    return len(line) - len(line.lstrip(" "))


@pytest.mark.parametrize("name", SOURCES)
def test_every_line_of_a_packaged_program_may_be_written_letter_by_letter(name):
    lines = program.bare(SOURCES[name]).splitlines()
    keyword_names = statements.keywords("\n".join(lines))
    assert statements.unknown(SOURCES[name]) == frozenset()
    assert statements.first_broken(lines) is None
    for at, line in enumerate(lines):
        names = statements.visible(lines[:at], indent(line))
        for length in range(1, len(line) + 1):
            assert statements.may_go_on(line[:length], names, keyword_names), line[:length]
        assert not line.strip() or statements.is_whole(line, names)


@pytest.mark.parametrize(
    ("line", "may"),
    [
        ("    y = jnp.max(x", True),
        ("    y = jnp.max(xx", False),
        ("    y = jnp.max(xx,", False),
        ("    y = jnp.max(x, ax", True),
        ("    y = jnp.max(x, axis=1)", True),
        ("    y = jnp.max(x, acids=1", False),
        ("    y = axis", False),  # a keyword argument stands within brackets
        ("    y = x.shape[0", True),
        ("    y = x.anything", True),
        ("    y = (x]", False),
        ("    y = x)", False),
        ("    y = jnp.einsum('abc", True),
        ("    y = jnp.einsum('q(', x)", True),
        ("    fresh", True),
        ("    fresh = x", True),
        ("    a, fresh = x", True),
        ("    fresh x", False),
        ("    return y", False),
        ("    return [i for i in x]", True),
        ("    super().__init__(na", True),
        ("    y = x x", False),
        ("    y = x * ", True),
        ("    y = x * )", False),
        ("    y = x ** 1e-", True),
        ("    y = x if x", True),
        ("    y = x; ", False),
        ("    y = x # no", False),
        ("    y = \u00e9", False),
    ],
)
def test_a_line_goes_on_with_names_that_stand(line, may):
    assert statements.may_go_on(line, {"x", "jnp"}, {"axis", "keepdims"}) == may


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("    y = x + 1", True),
        ("    y = x + ", False),
        ("    y = z + 1", False),
        ("    for i in range(x):", True),
        ("    return (x, None)", True),
        ("    y = f(lambda q: q + x)", False),
        ("    y = max(x, key=lambda q: q + x)", True),
    ],
)
def test_a_line_ends_as_a_statement(line, whole):
    assert statements.is_whole(line, {"x"}) == whole


def test_names_stand_in_their_function_alone():
    """The recurrent network has a helper with a function inside it, and a class."""
    (inner,) = [at for at, line in enumerate(LINES) if "def step(" in line]
    inside = statements.visible(LINES[: inner + 2], indent(LINES[inner + 1]))
    after = statements.visible(LINES, 8)  # in the last method
    assert "state" in inside and "state" not in after
    assert {"jnp", "hk", "states", "Network", "x", "self"} <= after


@pytest.mark.parametrize(
    ("lines", "unread"),
    [
        (("def f(x):", "    y = x", "    return y"), None),
        (("def f(x):", "    y = x", "        return y"), 2),
        (("def f(x):", "    y = x", "  return y"), 2),
        (("def f(x):", "    for i in x:"), None),
        (("def f(x):", "y = x x"), 1),
    ],
)
def test_lines_that_are_no_python_are_told(lines, unread):
    assert statements.first_unread(lines) == unread


def test_the_first_line_that_uses_a_name_that_is_gone_is_broken():
    lines = ["def f(x):", "    y = x", "    z = y", "    return z"]
    assert statements.first_broken(lines) is None
    assert statements.first_broken([*lines[:1], *lines[2:]]) == 1
    assert statements.first_broken([*lines[:1], *lines[2:]], known={"y"}) is None
