"""Design spaces: programs and arch strings are two ways to write one design."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo_clrs import spaces
from evo_clrs.spaces import CELL, MACRO, SIZES

EVERY_SPACE = pytest.mark.parametrize("space", [CELL, MACRO, SIZES], ids=lambda space: space.name)

# ResNet's cell, as code and as its authors write it (Dong and Yang, 2020).
RESNET = """\
def build_cell(x0):
    x1 = nor_conv_3x3(x0)
    x2 = none(x0) + nor_conv_3x3(x1)
    x3 = skip_connect(x0) + none(x1) + skip_connect(x2)
    return x3
"""
RESNET_ARCH = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"


def designs(space):
    """Draws designs of a space."""
    return st.tuples(*(st.integers(0, len(place.options) - 1) for place in space.places))


def test_a_cell_is_read_from_code():
    choices = CELL.read(RESNET)
    assert [CELL.operations[choice] for choice in choices] == [
        *("nor_conv_3x3", "none", "nor_conv_3x3"),
        *("skip_connect", "none", "skip_connect"),
    ]
    assert CELL.arch(choices) == RESNET_ARCH
    assert CELL.from_arch(RESNET_ARCH) == choices


def test_the_published_example_arch_strings_are_read():
    assert MACRO.from_arch("02012100") == (0, 2, 0, 1, 2, 1, 0, 0)
    assert SIZES.from_arch("8:16:64:8:32") == (0, 1, 7, 0, 3)


def test_spaces_have_the_published_sizes():
    sizes = {}
    for name, space in spaces.SPACES.items():
        sizes[name] = 1
        for place in space.places:
            sizes[name] *= len(place.options)
    assert sizes == {"nasbench201": 15_625, "nasbench_macro": 6_561, "nats_sizes": 32_768}


@EVERY_SPACE
@given(st.data())
def test_what_is_written_is_read_again(space, data):
    choices = data.draw(designs(space))
    assert space.read(space.write(choices)) == choices
    assert space.from_arch(space.arch(choices)) == choices
    assert space.write(choices).startswith(space.opening)


@EVERY_SPACE
@given(st.data())
def test_identities_tell_designs_apart_and_nothing_else(space, data):
    first, second = data.draw(designs(space)), data.draw(designs(space))
    same = spaces.identity(space, first) == spaces.identity(space, second)
    assert same == (first == second)


def test_identities_of_spaces_do_not_meet():
    assert spaces.identity(MACRO, (0,) * 8) != spaces.identity(SIZES, (0,) * 5)
    assert len(spaces.identity(CELL, (0,) * 6)) == 16


@given(designs(CELL), st.data())
def test_a_cell_may_be_written_in_other_ways(choices, data):
    """Names of nodes, the order of a sum, brackets, comments and absent edges do not count."""
    names = data.draw(
        st.lists(st.from_regex(r"[a-w]_[0-9]{1,3}", fullmatch=True), min_size=4, unique=True)
    )
    lines = [f"def build_cell({names[0]}):", "    '''A cell.'''", "    # nodes follow"]
    for end in (1, 2, 3):
        terms = [
            f"{CELL.operations[choice]}({names[start]})"
            for (start, to), choice in zip(CELL.edges, choices, strict=True)
            if to == end and (choice != 0 or start == 0)  # one term has to stay
        ]
        terms = data.draw(st.permutations(terms))
        joined = f"({terms[0]} + ({' + '.join(terms[1:])}))" if terms[1:] else terms[0]
        lines.append(f"    {names[end]}   =   {joined}")
    lines.append(f"    return {names[3]}\n")
    source = "\n".join(lines)
    assert CELL.read(source) == choices


@given(designs(SIZES), st.lists(st.sampled_from("abcdefgh"), min_size=5, max_size=5))
def test_a_chain_may_use_any_names(choices, names):
    lines, value = ["def build_network(x):"], "x"
    for choice, name in zip(choices, names, strict=True):
        lines.append(f"    {name} = channels_{8 * (choice + 1)}({value})")
        value = name
    assert SIZES.read("\n".join([*lines, f"    return {value}"])) == choices


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("nor_conv_3x3(x1)", "conv_5x5(x1)", "line 3: unknown operation conv_5x5: choose one of"),
        ("nor_conv_3x3(x1)", "nor_conv_3x3(x2)", "line 3: x2 is not a node yet"),
        ("nor_conv_3x3(x1)", "nor_conv_3x3(x0)", "line 3: two operations from x0 to x2"),
        ("nor_conv_3x3(x1)", "nor_conv_3x3(x1, 2)", "line 3: expected operation(node)"),
        ("nor_conv_3x3(x1)", "nor_conv_3x3(*x1)", "line 3: expected operation(node)"),
        ("nor_conv_3x3(x1)", "nor_conv_3x3(x=x1)", "line 3: expected operation(node)"),
        ("none(x0) + ", "none(x0) * ", "line 3: expected operation(node)"),
        ("x2 = none", "x2 += none", "line 3: expected an assignment to one name"),
        ("x2 = none", "x2: int = none", "line 3: expected an assignment to one name"),
        ("x2 = none", "x2 = y = none", "line 3: expected an assignment to one name"),
        ("x2 = none", "x1 = none", "line 3: expected three new nodes, each assigned once"),
        ("x2 = none", "none = none", "line 3: expected three new nodes, each assigned once"),
        ("    return x3\n", "    x4 = none(x3)\n    return x4\n", "line 5: expected three new"),
        ("    return x3\n", "    return x2\n", "line 5: expected `return x3` at the end"),
        ("    return x3\n", "", "line 4: expected a return at the end"),
        ("    return x3\n", "    return x3\n    x4 = none(x3)\n", "line 6: expected a return"),
        ("    x2 =", "    return x1\n    x2 =", "line 3: expected an assignment to one name"),
        ("    x1 = nor_conv_3x3(x0)\n", "", "line 2: x1 is not a node yet"),
        ("(x0):", "(none):", "line 1: none is the name of an operation"),
        ("(x0):", "(x0, x9):", "line 1: expected build_cell to take one argument"),
        ("(x0):", "(x0=1):", "line 1: expected build_cell to take one argument"),
        ("(x0):", "(x0: int):", "line 1: expected build_cell to take one argument"),
        ("(x0):", "(*x0):", "line 1: expected build_cell to take one argument"),
        ("def", "@cache\ndef", "to take one argument, and no decorator"),
        ("build_cell", "cell", "line 1: expected a function build_cell, got cell"),
        ("def", "import os\ndef", "expected one function build_cell and nothing else"),
        ("def", "async def", "expected one function build_cell and nothing else"),
        ("def", "de f", "line 1: not Python"),
        (RESNET, "", "expected one function build_cell and nothing else"),
        (RESNET, "def build_cell(x0):\n    '''Nothing.'''\n", "line 1: the function is empty"),
        (RESNET, "def build_cell(x0):\n    return x0\n", "line 2: expected three new nodes, got 0"),
    ],
)
def test_what_is_no_cell_is_refused_with_its_line(old, new, reason):
    source = RESNET.replace(old, new, 1)
    assert source != RESNET
    with pytest.raises(ValueError) as error:
        CELL.read(source)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("identity(x)", "identity(y)", "line 2: expected a call on x, got one on y"),
        ("identity(x)", "mb9_k9(x)", "line 2: unknown operation mb9_k9: choose one of identity"),
        ("x = identity(x)", "identity = identity(x)", "line 2: identity is the name of an operat"),
        ("    x = identity(x)\n", "", "line 9: expected 8 layers, got 7"),
        ("    return", "    x = identity(x)\n    return", "line 11: expected 8 layers, got 9"),
        ("return x", "return y", "line 10: expected `return x` at the end"),
        ("    return x\n", "", "line 9: expected a return at the end"),
    ],
)
def test_what_is_no_chain_is_refused_with_its_line(old, new, reason):
    source = MACRO.write((0,) * 8)
    with pytest.raises(ValueError) as error:
        MACRO.read(source.replace(old, new, 1))
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("space", "arch"),
    [
        (CELL, ""),
        (CELL, "02012100"),
        (CELL, RESNET_ARCH[:-1]),
        (CELL, RESNET_ARCH + "\n"),
        (CELL, RESNET_ARCH.replace("none", "conv_5x5")),
        (CELL, RESNET_ARCH.replace("~2", "~1")),
        (MACRO, "0201210"),
        (MACRO, "02012103"),
        (MACRO, RESNET_ARCH),
        (SIZES, "8:16:64:8"),
        (SIZES, "8:16:64:8:72"),
        (SIZES, "8:16:64:8:08"),
        (SIZES, "8:16:64:8:8:"),
        (SIZES, "02012100"),
    ],
)
def test_damaged_and_foreign_arch_strings_are_refused(space, arch):
    with pytest.raises(ValueError, match="arch string") as error:
        space.from_arch(arch)
    assert "\n" not in str(error.value)


@EVERY_SPACE
def test_programs_of_another_space_are_refused(space):
    for other in spaces.SPACES.values():
        if other is not space:
            with pytest.raises(ValueError):
                space.read(other.write((0,) * len(other.places)))


@EVERY_SPACE
def test_wrong_choices_are_not_written(space):
    right = [0] * len(space.places)
    for wrong in (right[1:], [*right, 0], [len(space.places[0].options), *right[1:]], [-1]):
        with pytest.raises(ValueError, match=f"each of {len(space.places)} places"):
            space.write(tuple(wrong))


def test_reasons_stay_short_however_long_the_names():
    long = "very_" * 1000
    with pytest.raises(ValueError) as error:
        CELL.read(RESNET.replace("skip_connect", long))
    assert len(str(error.value)) < 200


@EVERY_SPACE
def test_deep_nesting_and_huge_texts_are_refused(space):
    for value in ("(" * 500 + "x" + ")" * 500, " + ".join(["f(x)"] * 5000), "-" * 3000 + "x"):
        source = f"{space.opening}    x1 = {value}\n    return x1\n"
        with pytest.raises(ValueError) as error:
            space.read(source)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", spaces.SPACES)
def test_plain_text_is_read_as_the_same_text_formatted_otherwise(name):
    space = spaces.SPACES[name]
    draw = random.Random(0)
    for _ in range(50):
        choices = tuple(draw.randrange(len(place.options)) for place in space.places)
        plain = space.write(choices)
        assert space.read(plain) == space.read(f"# as a comment\n{plain}") == choices
