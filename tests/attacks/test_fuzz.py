"""Whatever comes, each reader raises its own errors only: texts, trees, frames, replies, jobs."""

import ast
import contextlib
import random
import tracemalloc

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from evo_clrs import programs
from evo_clrs.errors import Rejected
from evo_clrs.executors import wire
from evo_clrs.gates import static
from evo_clrs.jail import frames, reply
from evo_clrs.records import Evaluation, make_size
from evo_clrs.slots import PROCESSOR, SLOTS, TRIPLET

SLOTS_WITH_TEXT = [PROCESSOR, TRIPLET]
TEXTS = [text for slot in SLOTS_WITH_TEXT for text in programs.load(slot.name).values()]
slow_is_fine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def checked(text: str, slot) -> None:
    """Checks a text; it may pass, or be refused in one printable line at stage static."""
    try:
        static.check(text, slot)
    except Rejected as rejection:
        assert rejection.stage == "static"
        assert rejection.reason and "\n" not in rejection.reason


anything = st.text(st.characters(codec=None)) | st.binary().map(lambda data: data.decode("latin-1"))


@given(anything, st.sampled_from(sorted(SLOTS)))
@example("\x00", "processor")
@example("\ufeff", "processor")
@example("x = " + "9" * 19000, "triplet")
@example("x = 0b" + "1" * 19000, "triplet")
@example("x = 1e" + "9" * 5000, "triplet")
@example("(" * 9000, "processor")
@example("lambda:" * 2500, "processor")
@example("f'{" * 90, "processor")
@example("x = " + "f'{x:{" * 20, "processor")
@example("-" * 19000 + "1", "processor")
@example("x" + "[0]" * 6000, "processor")
@example("if x:\n " * 99, "triplet")
@example("'" + "\\N{BULLET}" * 999, "processor")
@slow_is_fine
def test_the_static_gate_takes_any_text(text, slot):
    checked(text, SLOTS[slot])


PIECES = st.sampled_from(
    [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ":",
        ",",
        "=",
        ":=",
        "*",
        "**",
        "@",
        "->",
        "\n",
        "\n    ",
        "\\\n",
    ]
    + ["lambda", "class", "def", "async", "await", "yield", "match", "case", "type", "global"]
    + [
        "import",
        "from",
        "try",
        "except*",
        "with",
        "del",
        "nonlocal",
        "0x",
        "1_",
        "1j",
        "...",
        "'''",
    ]
    + ["f'{", "}'", "b'", "\\", "\x00", "\t", "\f", "\r", "é", "\u202e", "𝔵", "__class__", "#"]
)


@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 40), PIECES), min_size=1, max_size=6),
    st.sampled_from(SLOTS_WITH_TEXT),
)
@slow_is_fine
def test_the_static_gate_takes_programs_with_pieces_changed(text, changes, slot):
    for place, length, piece in changes:
        place %= len(text) + 1
        text = text[:place] + piece + text[place + length :]
    checked(text, slot)


def _shuffled(text: str, seed: int) -> str:
    """Returns a program with parts of its syntax tree put in each other's places."""
    draw, tree = random.Random(seed), ast.parse(text)
    for kind in (ast.expr, ast.stmt, ast.arguments):
        nodes = [node for node in ast.walk(tree) if isinstance(node, kind)]
        for _ in range(draw.randrange(4) if nodes else 0):
            one, other = draw.choice(nodes), draw.choice(nodes)
            inside = {id(node) for node in ast.walk(other)}
            if id(one) not in inside and type(one).__name__ != "Expr":
                for holder in ast.walk(tree):
                    for field, value in ast.iter_fields(holder):
                        if value is one:
                            setattr(holder, field, other)
                        elif isinstance(value, list) and any(item is one for item in value):
                            value[:] = [other if item is one else item for item in value]
    try:
        return ast.unparse(tree)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return text


@given(st.sampled_from(TEXTS), st.integers(0, 2**32), st.sampled_from(SLOTS_WITH_TEXT))
@slow_is_fine
def test_the_static_gate_takes_programs_with_parts_exchanged(text, seed, slot):
    checked(_shuffled(text, seed), slot)


SIZE = make_size(B=2, N=3, H=4)
HEADER = {
    "parameters": [
        ["p/w", [4, 4], "float32", None],
        ["p/b", [4], "float32", ["truncated_normal", [0.5, 0.0, -2.0, 2.0]]],
    ],
    "outputs": [[[2, 3, 4], None]],
    "properties": {"inf_bias": False, "inf_bias_edge": True},
}
GENUINE = frames.encode({"layers": ["seccomp"]}) + frames.encode(HEADER, (b"init" * 9, b"apply"))
LIMIT = 4096


def read(data: bytes) -> None:
    """Reads a reply as the parent does: it is a graph, or rejected while tracing."""
    reader = frames.Reader(data)
    layers = reply.layers_of(reader)
    assert layers is None or all(isinstance(layer, str) for layer in layers)
    try:
        graph = reply.graph_of(reader, PROCESSOR, [SIZE], LIMIT)
        assert graph.slot == "processor"
    except Rejected as rejection:
        assert rejection.stage == "trace"
        assert rejection.reason.isprintable() and len(rejection.reason) <= 400


@given(st.binary(max_size=400))
def test_any_bytes_are_a_reply_or_rejected(data):
    for start in (b"", GENUINE[:20], GENUINE, frames.encode({"layers": []}) + frames.MAGIC):
        read(start + data)


@given(st.integers(0, len(GENUINE)), st.integers(0, len(GENUINE)), st.booleans())
def test_cut_and_repeated_replies_are_rejected_or_read(start, end, twice):
    read(GENUINE[start:end] * (1 + twice))


@given(
    st.lists(st.tuples(st.integers(0, len(GENUINE) - 1), st.integers(1, 255)), max_size=8),
)
def test_damaged_replies_are_rejected_or_read(changes):
    data = bytearray(GENUINE)
    for place, bits in changes:
        data[place] ^= bits
    read(bytes(data))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(JSON)
def test_any_layers_are_told_or_not(layers):
    data = frames.encode({"layers": layers})
    found = reply.layers_of(frames.Reader(data))
    assert found is None or all(isinstance(layer, str) for layer in found)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=64))
def test_promised_lengths_take_no_memory(header, count, rest):
    data = frames.MAGIC + header.to_bytes(4, "big") + count.to_bytes(4, "big") + rest
    tracemalloc.start()
    try:
        with pytest.raises(frames.FrameError):
            frames.Reader(data).read(LIMIT)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 1 << 20


MESSAGE = wire.evaluation_frame(Evaluation("scored", "scored", metrics={"val_accuracy": 0.5}))


@given(
    st.dictionaries(st.sampled_from(sorted(MESSAGE.header)) | st.text(max_size=5), JSON),
    st.sets(st.sampled_from(sorted(MESSAGE.header)), max_size=2),
)
@slow_is_fine
def test_what_a_worker_answers_is_an_evaluation_or_no_frame(changes, left_out):
    header = {**MESSAGE.header, **changes}
    header = {name: value for name, value in header.items() if name not in left_out}
    with contextlib.suppress(frames.FrameError):
        assert isinstance(wire.read_evaluation(frames.Frame(header)), Evaluation)
