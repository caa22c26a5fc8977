"""The programs as a collection of source texts."""

import importlib.resources
import subprocess
import sys

import pytest

from evo_clrs import programs
from evo_clrs.errors import UserError
from evo_clrs.slots import NETWORK, PROCESSOR, TRIPLET


@pytest.mark.parametrize("slot_name", [PROCESSOR.name, TRIPLET.name, NETWORK.name])
def test_load_gives_the_seeds_and_then_the_gallery(slot_name):
    expected = [*programs.seeds(slot_name), *programs.gallery(slot_name)]
    assert list(programs.load(slot_name)) == expected
    assert len(set(expected)) == len(expected)
    assert programs.load(slot_name).items() >= programs.seeds(slot_name).items()


@pytest.mark.parametrize("slot_name", [PROCESSOR.name, TRIPLET.name, NETWORK.name])
def test_every_file_of_a_slot_is_given_out(slot_name):
    folder = importlib.resources.files(programs) / slot_name
    files = {
        entry.name.removesuffix(".py")
        for entry in folder.iterdir()
        if entry.name.endswith(".py") and entry.name != "__init__.py"
    }
    assert files == set(programs.load(slot_name))


def test_the_triplet_slot_starts_from_the_nine_seeds_of_the_paper():
    assert [name.split("_")[0] for name in programs.seeds("triplet")] == [
        f"v{number}" for number in range(1, 10)
    ]
    assert len(programs.gallery("triplet")) == 5


def test_an_unknown_slot_is_told_with_the_choice():
    with pytest.raises(UserError, match="'sonnet': choose from processor, triplet"):
        programs.load("sonnet")


def test_loading_imports_no_program_and_no_jax():
    code = (
        "import sys; from evo_clrs import programs; programs.load('processor');"
        "programs.load('triplet');"
        "print([m for m in sys.modules if m.startswith(('evo_clrs.programs.', 'jax', 'haiku'))])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
