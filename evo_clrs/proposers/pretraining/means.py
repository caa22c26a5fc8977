"""A family of processors to tune a model on: small ones that aggregate by means alone."""

import re

from evo_clrs import programs
from evo_clrs.proposers.grammar.parameters import count_parameters
from evo_clrs.slots import PROCESSOR

SIZES = {"B": 2, "N": 4, "H": 16, "R": 4}  # at which parameters are counted
_OTHER = re.compile(r"jnp\.(max|min|sum|prod|einsum|matmul)\(|softmax|top_k|jnp\.sort")


def belongs(source: str) -> bool:
    """Whether a processor is of the family."""
    if "jnp.mean(" not in source or _OTHER.search(source):
        return False
    count = count_parameters(source, PROCESSOR, SIZES)
    return count is not None and count < _reference() / 2


def _reference() -> int:
    count = count_parameters(programs.load("processor")["triplet_gmpnn"], PROCESSOR, SIZES)
    assert count is not None
    return count
