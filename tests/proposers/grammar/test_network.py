"""The grammar of networks: what it reads, each kind of edit, and what becomes of proposals."""

import ast
import copy
import random
from collections import Counter

import haiku as hk
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from evo_clrs import program, programs, records, slots
from evo_clrs.errors import Rejected
from evo_clrs.gates import cost as costs
from evo_clrs.gates import mlir, static
from evo_clrs.gates.fingerprint import fingerprint
from evo_clrs.gates.liveness import output_dependencies
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.descriptors import width_to_depth
from evo_clrs.proposers.grammar.by_slot.network import GRAMMAR, LIMIT, SIZES
from evo_clrs.proposers.grammar.clean import clean, normal_form
from evo_clrs.proposers.grammar.cost import Cost, cost
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.edits.applied import applied
from evo_clrs.proposers.grammar.layout import write
from evo_clrs.proposers.grammar.proposer import MAX_BYTES, Grammar
from evo_clrs.proposers.grammar.shapes import infer
from evo_clrs.proposers.grammar.survey import survey_proposals
from evo_clrs.proposers.grammar.values import UNKNOWN, Array, ShapeError
from tests.proposers.grammar.gallery import draft_of, imported, request_for

SEEDS = programs.seeds("network")
DRAFTS = {name: draft_of("network", source) for name, source in SEEDS.items()}
SIZE = records.make_size(B=8, L=40, C=10)


def network(body: str, *before: str) -> str:
    """Returns a network with these statements in its main body."""
    lines = "".join(f"        {line}\n" for line in body.strip().splitlines())
    return (
        "import haiku as hk\nimport jax\nimport jax.numpy as jnp\n"
        + "".join(f"{definition}\n" for definition in before)
        + "class Network(hk.Module):\n"
        "    def __init__(self, classes, name='n'):\n"
        "        super().__init__(name=name)\n"
        "        self.classes = classes\n"
        f"    def __call__(self, x):\n{lines}"
    )


def output(body: str):
    return infer(ast.parse(network(body)), slots.NETWORK).output


# Reading.


EXPRESSIONS = """
hk.Conv1D(7, 5)(x[..., None])
hk.Conv1D(7, 5, stride=3)(x[..., None])
hk.Conv1D(7, 5, 2, 1, "VALID")(x[..., None])
hk.Conv1D(7, 5, stride=2, padding=(1, 1))(x[..., None])
hk.Conv1D(7, (3,), rate=4, padding=[(0, 2)])(x[..., None])
hk.Conv1D(7, 3, stride=2)(hk.Conv1D(7, 3, stride=8)(x[..., None]))
hk.Conv1D(7, 2, stride=3, padding="VALID")(hk.Conv1D(7, 3, stride=7)(x[..., None]))
hk.DepthwiseConv1D(3, 5, stride=2)(x[..., None])
hk.DepthwiseConv1D(3, 5, stride=2, padding=[(1, 1)])(x[..., None])
hk.avg_pool(x[..., None], (2, 1), (2, 1), "VALID")
hk.max_pool(x[..., None], 3, 2, "SAME")
hk.max_pool(x[..., None], (1, 5, 1), (1, 4, 1), "VALID")
hk.Flatten()(hk.Conv1D(7, 5, stride=3)(x[..., None]))
hk.Bias(bias_dims=(-2, -1))(x[..., None])
hk.dynamic_unroll(hk.GRU(6), x[..., None], hk.GRU(6).initial_state(x.shape[0]), time_major=False)[0]
hk.dynamic_unroll(hk.LSTM(6), x.T[..., None], hk.LSTM(6).initial_state(x.shape[0]))[0]
hk.static_unroll(hk.VanillaRNN(6), x.T[..., None], jnp.zeros((x.shape[0], 6)))[1]
jax.lax.scan(lambda c, s: (c + s, c[:, None]), jnp.zeros(x.shape[0]), x.T)[1]
jnp.flip(x, axis=1) + jnp.roll(x, 1, axis=1) + jnp.cumsum(x, axis=1)
jnp.diff(x, axis=1)
x - jnp.linspace(-1.0, 1.0, x.shape[1])
jnp.sort(x[..., None], axis=1)[:, -3:]
"""


@pytest.mark.parametrize("expression", EXPRESSIONS.strip().splitlines())
def test_shapes_equal_those_that_jax_computes(expression):
    def function(x):
        return eval(expression, {"hk": hk, "jax": jax, "jnp": jnp, "x": x})

    value = output(f"return {expression}")
    x = np.zeros((4, 40), np.float32)
    assert isinstance(value, Array)
    got = tuple(int(dim.at({"B": 4, "L": 40})) for dim in value.shape)
    assert got == jax.eval_shape(_initialised(function), x).shape


def _initialised(function):
    transformed = hk.transform(function)

    def run(x):
        parameters = transformed.init(jax.random.key(0), x)
        return transformed.apply(parameters, None, x)

    return run


@pytest.mark.parametrize("name", SEEDS)
def test_seeds_are_read(name):
    assert DRAFTS[name].shapes.fits(slots.NETWORK)
    text = write(DRAFTS[name], "Title.", [])
    assert normal_form(draft_of("network", text).tree) == normal_form(DRAFTS[name].tree)


@pytest.mark.parametrize("by", [2, 3, 5, 16])
def test_whole_quotients_are_those_of_python(by):
    length = Dim.of("L")
    for dim, value in [
        (length, lambda n: n),
        (length.floor(8) + Dim.of(3), lambda n: n // 8 + 3),
        (length.floor(16) * Dim.of(2) - Dim.of(1), lambda n: n // 16 * 2 - 1),
    ]:
        for n in (8, 40, 64, 200):
            assert dim.floor(by).at({"L": n}) == value(n) // by


@pytest.mark.parametrize(
    "expression",
    [
        "hk.Conv1D(3, 3)(x)",  # would run over the batch
        "jnp.flip(x, axis=0)",
        "jnp.cumsum(x, axis=0)",
        "jax.lax.scan(lambda c, s: (c, s), jnp.zeros(()), x)[1]",
    ],
)
def test_what_treats_the_batch_by_position_is_unknown(expression):
    assert output(f"return {expression}") == UNKNOWN


@pytest.mark.parametrize(
    "expression",
    [
        "hk.Conv1D(3, 3)(x[..., None, None])",
        "hk.Linear(3)(x) + hk.Conv1D(4, 3)(x[..., None])",
        "hk.dynamic_unroll(hk.GRU(6), x[..., None], jnp.zeros((x.shape[0], 5)), False)",
        "jax.lax.scan(lambda c, s: (s[None], s), jnp.zeros((1,)), x.T)",
    ],
)
def test_what_is_sure_to_fail_is_an_error(expression):
    with pytest.raises(ShapeError):
        output(f"return {expression}")


# Costs, biases left out; the published counts of the data set's networks hold them.


@pytest.mark.parametrize(
    "name, weights, products, widest",
    [
        ("linear", 410 - 10, 400, 10),
        ("mlp", 15_210 - 210, 15_000, 100),
        ("cnn", 5_210 - 85, 5 * 25 * 19 + 3 * 25 * 25 * (10 + 5) + 1250, 25),
    ],
)
def test_costs_of_seeds_in_closed_form(name, weights, products, widest):
    assert cost(DRAFTS[name], SIZES) == Cost(weights, products, 0, widest)


def test_costs_of_mlps_in_closed_form():
    draft = draft_of("network", network("return hk.nets.MLP([100, 60, self.classes])(x)"))
    weights = 40 * 100 + 100 * 60 + 60 * 10
    assert cost(draft, SIZES) == Cost(weights, weights, 0, 100)


def test_costs_of_recurrent_layers_in_closed_form():
    draft = draft_of(
        "network",
        network(
            """
core = hk.LSTM(6)
start = core.initial_state(x.shape[0])
states = hk.dynamic_unroll(core, x[..., None], start, time_major=False)[0]
return hk.Linear(self.classes)(states[:, -1])
"""
        ),
    )
    assert cost(draft, SIZES) == Cost(4 * 6 * (6 + 1) + 60, 40 * 4 * 6 * 7 + 60, 40, 10)


def test_empty_axes_are_refused():
    shrunk = network(
        "h = hk.Conv1D(8, 45, padding='VALID')(x[..., None])\n"
        "return hk.Linear(self.classes)(jnp.mean(h, axis=1))"
    )
    with pytest.raises(LookupError, match="no such sizes"):
        cost(draft_of("network", shrunk), SIZES)


# Edits.


def edited(kind: str, name: str, seed: int, crowded: bool = False):
    """Returns a seed after one edit and words for it, None where none was made."""
    parent = DRAFTS[name]
    mates = [draft for other, draft in DRAFTS.items() if other != name]
    draft = Draft(copy.deepcopy(parent.tree), parent.slot, mates, crowded)
    try:
        change = GRAMMAR.edits[kind](draft, random.Random(f"{kind} {name} {seed}"))
        if change is None:
            return None
        return Draft(clean(draft.tree, parent.slot), parent.slot), change
    except (LookupError, ShapeError):
        return None


@pytest.mark.parametrize("kind", GRAMMAR.edits)
def test_children_are_programs_of_the_slot(kind):
    made, fitting, changes = 0, 0, set()
    for name in SEEDS:
        for seed in range(12):
            result = edited(kind, name, seed)
            if result is None:
                continue
            child, change = result
            source = write(child, "Title.", [change])
            try:
                static.check(source, child.slot)
            except Rejected as rejected:
                pytest.fail(f"{rejected}\n{source}")
            made += 1
            changes.add(change)
            same = normal_form(child.tree) == normal_form(DRAFTS[name].tree)
            fitting += child.shapes.fits(child.slot) and not same
    assert made >= 15
    assert fitting / made > 0.8
    assert len(changes) > 1


def repeated(kind: str, name: str, count: int, seed: int) -> Draft:
    """Returns a seed after many edits of one kind."""
    request = request_for(SEEDS[name])
    source = SEEDS[name]
    for index in range(count):
        request = records.Request(
            index=index,
            round=0,
            parents=(records.Parent("0", source, {}),),
            targets={},
            temperatures=(1.0,),
            operation="mutate",
            kinds=(kind,),
        )
        (child,) = Grammar().propose(request, slots.NETWORK, "", seed)
        assert child.edits == (kind,)
        source = child.source
    return draft_of("network", source)


def widths(draft: Draft) -> list[int]:
    return [
        value.shape[-1].number or 0
        for layer in applied(draft)
        if isinstance(value := draft.value(layer.node), Array)
    ]


def test_widths_reach_from_a_few_units_to_512():
    found: set[int] = set()
    for seed in range(40):
        for name in ("paper_cnn", "mlp"):
            result = edited("width", name, seed)
            if result is not None:
                found |= set(widths(result[0]))
    assert min(found - {0}) <= 8 and max(found) == 512
    assert len(found) >= 15


def test_depths_reach_from_one_layer_to_a_dozen():
    counts = [len(applied(repeated("depth", "paper_cnn", 12, seed))) for seed in range(4)]
    assert max(counts) >= 12
    shallow = []
    for seed in range(30):
        result = edited("depth", "paper_cnn", seed, crowded=True)
        if result is not None:
            shallow.append(len(applied(result[0])))
    assert min(shallow) <= 2 < len(applied(DRAFTS["paper_cnn"]))


def test_a_gru_as_code_gets_wider_as_a_whole():
    changes = {result[1] for seed in range(30) if (result := edited("width", "gru", seed))}
    assert "all widths times 2" in changes


def test_crossover_brings_functions_along():
    for seed in range(40):
        result = edited("crossover", "paper_cnn", seed)
        if result is not None and "jax.lax.scan" in ast.unparse(result[0].tree):
            assert result[0].shapes.fits(slots.NETWORK)
            static.check(write(result[0], "Title.", []), slots.NETWORK)
            return
    pytest.fail("the GRU never gave anything")


def test_paddings_of_convolutions_suit_depthwise_ones():
    for seed in range(40):
        result = edited("convolution", "cnn", seed)
        if result is not None and "depthwise" in result[1]:
            assert "padding=[(1, 1)]" in ast.unparse(result[0].tree)
            return
    pytest.fail("no convolution became a depthwise one")


def test_networks_that_read_only_the_size_of_their_signals_are_not_made():
    blind = "jnp.zeros((x.shape[0], x.shape[1]))"
    for second, made in (("jnp.ones_like(x)", True), (blind, False)):
        source = network(
            f"first = {blind}\nsecond = {second}\nreturn hk.Linear(self.classes)(first + second)"
        )
        parent = draft_of("network", source)
        draft = Draft(copy.deepcopy(parent.tree), parent.slot)
        if made:
            assert GRAMMAR.edits["depth"](draft, random.Random(0))
        else:
            with pytest.raises(LookupError, match="not read"):
                GRAMMAR.edits["depth"](draft, random.Random(0))


def test_named_kinds_are_the_ones_used():
    for index, kind in enumerate(("convolution", "recurrence", "attention", "depth")):
        request = records.Request(
            index=index,
            round=0,
            parents=(records.Parent("0", SEEDS["mlp"], {}),),
            targets={},
            temperatures=(1.0,) * 3,
            kinds=(kind,),
        )
        for child in Grammar().propose(request, slots.NETWORK, "", 0):
            assert set(child.edits) == {kind}


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(
    picks=st.lists(st.sampled_from(sorted(SEEDS)), min_size=1, max_size=3),
    operation=st.sampled_from(["vary", "mutate", "crossover", "improve", "random"]),
    seed=st.integers(0, 2**63 - 1),
)
def test_children_of_any_parents_fit_and_are_new(picks, operation, seed):
    request = records.Request(
        index=0,
        round=0,
        parents=tuple(records.Parent(str(i), SEEDS[name], {}) for i, name in enumerate(picks)),
        targets={},
        temperatures=(1.0,),
        operation=operation,
    )
    (child,) = Grammar().propose(request, slots.NETWORK, "", seed)
    assert Grammar().propose(request, slots.NETWORK, "", seed) == [child]
    static.check(child.source, slots.NETWORK)
    assert imported(child.source) <= set(slots.NETWORK.imports)
    draft = draft_of("network", child.source)
    assert draft.shapes.fits(slots.NETWORK)
    assert cost(draft, SIZES).within(LIMIT, Cost())
    known = {program.identity(SEEDS[name]) for name in picks}
    assert program.identity(child.source) not in known


@pytest.mark.parametrize("name", ["paper_cnn", "linear", "gru"])
def test_thirty_generations_stay_moderate(name):
    source = SEEDS[name]
    for index in range(30):
        (child,) = Grammar().propose(request_for(source, index=index), slots.NETWORK, "", 1)
        source = child.source
        static.check(source, slots.NETWORK)
    draft = draft_of("network", source)
    assert draft.shapes.fits(slots.NETWORK)
    assert cost(draft, SIZES).within(LIMIT, Cost())
    assert len(source.encode()) < 0.8 * MAX_BYTES


# Proposals in the jail.


@pytest.fixture(scope="module")
def jail():
    with Jail() as jail:
        yield jail


class Fates:
    """What becomes of proposals: counts, the kinds that made them, and where they stand."""

    def __init__(self, jail: Jail, count: int, seed: int):
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.places: list[tuple[float, float]] = []  # width to depth, FLOPs
        self.count = count
        known = {fingerprint(jail.trace(slots.NETWORK, s, [SIZE])) for s in SEEDS.values()}
        for _, proposal in survey_proposals(slots.NETWORK, SEEDS, count, seed):
            self.kinds.update(set(proposal.edits))
            try:
                static.check(proposal.source, slots.NETWORK)
                graph = jail.trace(slots.NETWORK, proposal.source, [SIZE])
            except Rejected as rejected:
                self.reasons[str(rejected)] += 1
                continue
            read = mlir.read_graph(graph)
            found = fingerprint(read)
            (needed,) = output_dependencies(read.forward[0])
            # After the parameters come the key and the signals.
            live = {0, len(graph.parameters) + 1} <= needed
            self.counts["traced"] += 1
            self.counts["new"] += found not in known
            self.counts["live"] += live
            self.counts["matters"] += live and not set(proposal.edits) <= {"activation", "width"}
            known.add(found)
            self.places.append((width_to_depth(graph.parameters), costs.cost(read).flops))

    def share(self, name: str) -> float:
        return self.counts[name] / self.count


def test_a_few_proposals_trace_and_are_live(jail):
    fates = Fates(jail, 24, seed=5)
    assert fates.counts["traced"] >= 23, fates.reasons
    assert fates.share("new") >= 0.9
    assert fates.share("matters") >= 0.8


@pytest.mark.slow
def test_nearly_all_proposals_trace_are_new_and_matter(jail):
    fates = Fates(jail, 500, seed=0)
    print({name: fates.share(name) for name in fates.counts}, fates.reasons)
    print({kind: fates.kinds[kind] / fates.count for kind in fates.kinds})
    spread = np.log10(np.maximum(fates.places, 1e-3))
    print("width to depth, FLOPs (log10):", np.percentile(spread, [0, 5, 50, 95, 100], axis=0))
    assert fates.share("traced") >= 0.95, fates.reasons
    assert fates.share("new") >= 0.95
    assert fates.share("matters") >= 0.9
    assert min(fates.kinds[kind] for kind in GRAMMAR.edits) >= 0.05 * fates.count, fates.kinds
    ranges = spread.max(axis=0) - spread.min(axis=0)
    assert ranges[0] >= 1.5 and ranges[1] >= 3
