"""The fingerprint on the seeds and the gallery: all differ, and rewritten ones stay the same."""

import ast
import pathlib
import random

import pytest

from evo_clrs import programs
from evo_clrs.gates import graph, mlir
from evo_clrs.gates.fingerprint import fingerprint
from evo_clrs.jail.jail import Jail
from evo_clrs.records import make_size
from evo_clrs.slots import PROCESSOR, SLOTS, TRIPLET

SIZES = [make_size(B=2, N=4, H=8, K=4, R=3)]
FOLDER = pathlib.Path(programs.__file__).parent
FILES = {
    f"{slot}/{path.stem}": path
    for slot in (PROCESSOR.name, TRIPLET.name)
    for path in sorted((FOLDER / slot).glob("[!_]*.py"))
}
QUICK = {"processor/gatv2_full", "triplet/v1_standard", "triplet/v9_bilinear"}


@pytest.fixture(scope="module")
def jail():
    with Jail() as jail:
        yield jail


def fingerprint_of(jail, name, source):
    graphs = jail.trace(SLOTS[name.partition("/")[0]], source, SIZES)
    programs_read = mlir.read_graph(graphs)
    graph.check(programs_read, graph.GraphLimits())
    return fingerprint(programs_read)


class _Shuffle(ast.NodeTransformer):
    """Swaps neighbouring assignments that do not read each other, and renames modules."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.swaps = 0

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        for _ in range(4):
            for i in range(len(node.body) - 1):
                first, second = node.body[i : i + 2]
                if _independent(first, second) and self.random.random() < 0.7:
                    node.body[i : i + 2] = second, first
                    self.swaps += 1
        return node


def _independent(first, second):
    if not (isinstance(first, ast.Assign) and isinstance(second, ast.Assign)):
        return False
    names = [[n for n in ast.walk(s) if isinstance(n, ast.Name)] for s in (first, second)]
    written = [{n.id for n in found if isinstance(n.ctx, ast.Store)} for found in names]
    used = [{n.id for n in found} for found in names]
    return not (written[0] & used[1] or written[1] & used[0])


def shuffled(source, seed):
    shuffle = _Shuffle(seed)
    return ast.unparse(shuffle.visit(ast.parse(source))), shuffle.swaps


def check_shuffled(jail, name):
    """Order of statements, and with it order and names of layers, does not count."""
    source = FILES[name].read_text()
    text, swaps = shuffled(source, 0)
    assert fingerprint_of(jail, name, text) == fingerprint_of(jail, name, source)
    return swaps


@pytest.mark.parametrize("name", sorted(QUICK))
def test_reordered_programs_are_equal(jail, name):
    assert check_shuffled(jail, name) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(FILES) - QUICK))
def test_all_reordered_programs_are_equal(jail, name):
    check_shuffled(jail, name)


def test_all_programs_differ(jail):
    found = {name: fingerprint_of(jail, name, path.read_text()) for name, path in FILES.items()}
    assert len(set(found.values())) == len(FILES), found
