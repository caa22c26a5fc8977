"""Flags from options dataclasses, and what every script shares."""

import dataclasses
from pathlib import Path

import pytest

from evo_clrs import problems, strategies
from evo_clrs.experiment import Settings
from evo_clrs.strategies import islands
from launch import options

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {
    path.stem
    for path in (ROOT / "launch").glob("*.py")
    if 'if __name__ == "__main__"' in path.read_text()
}


@dataclasses.dataclass(frozen=True)
class Tea:
    """How tea is made.

    Attributes:
      minutes: how long it
        draws.
      leaves: kinds of leaves.
    """

    minutes: float = 3.0
    leaves: tuple[str, ...] = ("assam",)


def test_help_is_the_sentence_of_the_docstring():
    assert options.field_help(Tea) == {
        "minutes": "How long it draws.",
        "leaves": "Kinds of leaves.",
    }


def test_a_field_without_a_sentence_is_refused():
    bare = dataclasses.make_dataclass("Bare", [("x", int, 1)], frozen=True)
    with pytest.raises(ValueError, match="does not document x"):
        options.field_help(bare)


@pytest.mark.parametrize(
    "kind",
    [
        Settings,
        islands.Options,
        *(kind for name in problems.PROBLEMS for kind in problems.options_of(name)),
        *map(strategies.options_type, strategies.REGISTRY),
    ],
)
def test_every_option_of_the_product_is_documented(kind):
    assert set(options.field_help(kind)) == {field.name for field in dataclasses.fields(kind)}


def test_each_launch_script_is_exercised_by_a_test():
    text = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    unexercised = {
        name for name in SCRIPTS if f"launch.{name}" not in text and f"launch_{name}" not in text
    }
    assert not unexercised


def test_presets_name_known_flags_only():
    known = {"problem", "strategy", "lm", "run", "workers", "flagfile", "scores"}
    for name in problems.PROBLEMS:
        known |= {f.name for kind in problems.options_of(name) for f in dataclasses.fields(kind)}
    for name in strategies.REGISTRY:
        known |= {field.name for field in dataclasses.fields(strategies.options_type(name))}
    known |= {f.name for kind in (Settings, islands.Options) for f in dataclasses.fields(kind)}
    for preset in (ROOT / "launch" / "presets").glob("*.flags"):
        for line in preset.read_text().splitlines():
            if line.startswith("--"):
                assert line[2:].partition("=")[0].removeprefix("no") in known, (preset.name, line)
