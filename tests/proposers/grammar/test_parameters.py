"""Parameters counted from text, against those of the traced program."""

import pytest

from evo_clrs import programs, records, slots
from evo_clrs.errors import Rejected
from evo_clrs.jail.jail import Jail
from evo_clrs.proposers.grammar.parameters import count_parameters
from evo_clrs.proposers.grammar.survey import survey_proposals

SIZES = {
    "processor": {"B": 2, "N": 4, "H": 16, "R": 3},
    "triplet": {"B": 2, "N": 4, "H": 16, "K": 8, "R": 3},
    "network": {"B": 2, "L": 40, "C": 10},
}


@pytest.fixture(scope="module")
def jail():
    with Jail() as jail:
        yield jail


def traced(jail: Jail, slot: slots.Slot, source: str) -> int:
    graph = jail.trace(slot, source, (records.make_size(**SIZES[slot.name]),))
    total = 0
    for parameter in graph.parameters:
        size = 1
        for length in parameter.shape:
            size *= length
        total += size
    return total


@pytest.mark.parametrize("name", SIZES)
def test_packaged_programs_and_their_children_count_as_traced(jail, name):
    slot, told = slots.SLOTS[name], 0
    sources = list(programs.load(name).values())
    survey = survey_proposals(slot, programs.seeds(name), 12, 5)
    sources += [proposal.source for _, proposal in survey if proposal.source]
    for source in sources:
        count = count_parameters(source, slot, SIZES[name])
        if count is None:
            continue
        try:
            assert count == traced(jail, slot, source), source
            told += 1
        except Rejected:  # too large for the jail, or not sound: nothing to compare
            continue
    assert told >= 0.85 * len(sources)


def network(*lines: str) -> str:
    body = "".join(f"        {line}\n" for line in lines)
    return (
        "import haiku as hk\nimport jax.numpy as jnp\n\n\nclass Network(hk.Module):\n"
        "    def __init__(self, classes, name='n'):\n"
        "        super().__init__(name=name)\n        self.classes = classes\n\n"
        f"    def __call__(self, x):\n{body}"
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["return hk.Linear(self.classes)(x)"], 40 * 10 + 10),
        (["return hk.Linear(self.classes, with_bias=False)(x)"], 40 * 10),
        (["return hk.nets.MLP([7, self.classes])(x)"], 40 * 7 + 7 + 7 * 10 + 10),
        # A layer that is applied twice has its parameters once.
        (
            ["layer = hk.Linear(40)", "return hk.Linear(10)(layer(layer(x)))"],
            40 * 40 + 40 + 40 * 10 + 10,
        ),
        # Depth-wise convolutions have one kernel a channel.
        (
            [
                "y = hk.Conv1D(6, 5)(x[..., None])",
                "y = hk.DepthwiseConv1D(1, 3)(y)",
                "return hk.Linear(self.classes)(jnp.max(y, axis=1))",
            ],
            5 * 6 + 6 + 3 * 6 + 6 + 6 * 10 + 10,
        ),
    ],
)
def test_layers_count_by_their_closed_forms(lines, expected):
    assert count_parameters(network(*lines), slots.NETWORK, SIZES["network"]) == expected


@pytest.mark.parametrize(
    "lines",
    [
        ["for _ in range(3):", "    x = hk.Linear(40)(x)", "return hk.Linear(10)(x)"],
        ["return hk.Linear(10)(hk.BatchNorm(True, True, 0.9)(x, True))"],
        ["return ("],
    ],
)
def test_what_the_text_does_not_tell_is_not_guessed(lines):
    assert count_parameters(network(*lines), slots.NETWORK, SIZES["network"]) is None
