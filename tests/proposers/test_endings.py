"""Where a program ends in what a model goes on to write."""

import pytest

from evo_clrs.proposers import endings, patches
from evo_clrs.slots import PROCESSOR, TRIPLET

BODY = "    return hk.Linear(out_size)(z)\n"


@pytest.mark.parametrize(
    "after",
    [
        '\n\n"""Metrics: {}"""\n',
        "\n\nimport haiku as hk\n",
        "\n\ndef get_triplet_msgs(z):\n",
        "\n\ndef unrelated(z):\n    return z\n",
        "\nThis function is linear.\n",
        "\n```\n",
        "\n@decorated",
    ],
)
def test_the_program_ends_at_the_margin(after):
    assert endings.cut(BODY + after, TRIPLET) == BODY


@pytest.mark.parametrize(
    "text",
    [
        BODY,
        BODY + "\n\n",
        BODY + "\n\nd",
        BODY + "\n\ndef unrel",
        "    y = hk.Linear(\n    out_size\n)(z)\n    return y\n",
        "# a comment at the margin\n    return z\n",
        '    """A docstring\n\nat the margin.\n    """\n    return z\n',
        "    return _helper(z)\n\n\ndef _helper(z):\n    return z\n",
    ],
)
def test_the_program_goes_on(text):
    assert endings.end(text, TRIPLET) is None


def test_every_prefix_of_a_whole_program_goes_on():
    """A sampler that asks after every token must not stop early."""
    text = (
        '    def __call__(self, node_fts):\n        """Sums."""\n        return _scaled(\n'
        "            node_fts,\n)\n\n\ndef _scaled(x):\n    return 2 * x\n"
    )
    assert all(endings.end(text[:n], PROCESSOR) is None for n in range(len(text)))


def test_edits_end_with_what_follows_the_last_of_them():
    text = " 1\n<<<<<<< SEARCH\n    a\n=======\n    b\n>>>>>>> REPLACE\n"
    assert not endings.ended(text, TRIPLET, patches.OPENING)
    assert endings.ended(text + "# Program", TRIPLET, patches.OPENING)
    assert not endings.ended(text + "# Program", TRIPLET, "")  # an answer of its own has fences
