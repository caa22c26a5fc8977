import pytest

from evo_clrs import slots
from evo_clrs.proposers.grammar.clean import normal_form
from evo_clrs.proposers.grammar.layout import write
from tests.proposers.grammar.gallery import PROGRAMS, draft_of

HEAD = "import haiku as hk\nimport jax.numpy as jnp\n"
SIGNATURE = "def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):\n"


def cleaned(*lines: str, before: str = "") -> str:
    source = HEAD + before + SIGNATURE + "".join(f"    {line}\n" for line in lines)
    return write(draft_of("triplet", source), "Title.", ["one: change"])


@pytest.mark.parametrize("slot_name, name, source", PROGRAMS)
def test_gallery_programs_stay_what_they_are(slot_name, name, source):
    draft = draft_of(slot_name, source)
    text = write(draft, "Title.", [])
    assert normal_form(draft_of(slot_name, text).tree) == normal_form(draft.tree)
    assert max(map(len, text.splitlines())) <= 100
    if slot_name == "triplet":  # down to the letter, but for the docstring
        assert text.split('"""')[2] == source.split('"""')[2]


def test_dead_code_goes():
    text = cleaned(
        "a = hk.Linear(3)(z)",
        "b = hk.Linear(3)(a)",
        "x, n, _ = z.shape",
        "return edge_fts * n",
        before="def unused(x):\n    return x\n",
    )
    assert "Linear" not in text and "unused" not in text and "import" not in text
    assert "_, n, _ = z.shape" in text


def test_copies_go_and_names_are_in_order():
    text = cleaned(
        "part_7 = hk.Linear(out_size)(edge_fts)",
        "same = part_7",
        "part_9 = hk.Linear(out_size)(same)",
        "x_4 = part_9 + part_7",
        "return x_4",
    )
    assert "part_1 = hk.Linear(out_size)(edge_fts)  # [B, N, N, H]" in text
    assert "part_2 = hk.Linear(out_size)(part_1)" in text
    assert "return x" in text and "x_4" not in text and "same" not in text


def test_names_assigned_twice_are_told_apart():
    text = cleaned("x = edge_fts", "x += 1.0", "x = x * x", "return x")
    assert text.endswith(
        "    x_1 = edge_fts + 1.0  # [B, N, N, H]\n"
        "    x_2 = x_1 * x_1  # [B, N, N, H]\n"
        "    return x_2  # [B, N, N, H]\n"
    )


def test_long_lines_are_broken():
    term = "hk.Linear(out_size)(jnp.maximum(edge_fts, 0.0))"
    text = cleaned(f"return jnp.tanh({term} * {term} * {term})")
    assert max(map(len, text.splitlines())) <= 100
    long_sum = cleaned("return " + " + ".join([term] * 4))
    assert f"\n        {term}\n        + {term}\n" in long_sum


def test_the_docstring_says_what_changed():
    text = cleaned("return edge_fts")
    assert text.startswith('"""Title.\n\n- one: change\n\nShapes: z [B, N, 2H], ')


@pytest.mark.parametrize("slot", [slots.PROCESSOR, slots.TRIPLET], ids=lambda slot: slot.name)
def test_normal_forms_ignore_names_and_docstrings_only(slot):
    sources = [source for name, _, source in PROGRAMS if name == slot.name]
    forms = {normal_form(draft_of(slot.name, source).tree) for source in sources}
    assert len(forms) == len(sources)
    for source in sources:
        renamed = source.replace("msg_1", "something").replace("node_1", "something")
        form = normal_form(draft_of(slot.name, renamed).tree)
        assert form == normal_form(draft_of(slot.name, source).tree)
