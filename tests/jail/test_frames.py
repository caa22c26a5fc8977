"""Frames, and what the parent makes of replies that an enemy may have written."""

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_clrs.errors import Rejected
from evo_clrs.jail import frames, reply
from evo_clrs.jail.limits import amount
from evo_clrs.jail.request import decode_slot, encode_slot
from evo_clrs.records import Initialiser, make_size
from evo_clrs.slots import PROCESSOR, SLOTS

SIZE = make_size(B=2, N=3, H=4)
GOOD = {
    "parameters": [["p/linear/w", [4, 4], "float32", None]],
    "outputs": [[[2, 3, 4], None]],
    "properties": {"inf_bias": False, "inf_bias_edge": True},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON), st.lists(st.binary(max_size=50), max_size=5))
def test_frames_come_back_as_they_were(header, blobs):
    reader = frames.Reader(frames.encode(header, blobs) + b"more")
    frame = reader.read(limit=250)
    assert (frame.header, frame.blobs, reader.rest) == (header, tuple(blobs), 4)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_garbage_is_refused(data):
    for start in (b"", frames.MAGIC, frames.MAGIC + struct.pack(">II", 2, 1)):
        with pytest.raises(frames.FrameError):
            frames.Reader(start + data).read(limit=10)


def _header(text: bytes) -> bytes:
    return frames.MAGIC + struct.pack(">II", len(text), 0) + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        frames.encode({}, [b"123456"]),
        frames.encode({}, [b"12345", b""])[:-1],
        frames.MAGIC + struct.pack(">II", 0xFFFFFFFF, 0),
        frames.MAGIC + struct.pack(">II", 2, 0xFFFFFFFF),
        frames.MAGIC + struct.pack(">IIQQ", 2, 2, 1 << 63, 1 << 63),
        _header(b"[1, 2]"),
        _header(b'{"a": NaN}'),
        _header(b'{"a": 1'),
        _header(b"\xff\xfe"),
        _header(b"[" * 100_000),
        _header(b'{"a": ' + b"9" * 5000 + b"}"),
    ],
)
def test_bad_frames_are_refused(data):
    with pytest.raises(frames.FrameError):
        frames.Reader(data).read(limit=5)


def test_frames_too_large_to_read_are_not_written():
    with pytest.raises(frames.FrameError):
        frames.encode({"a": "x" * frames.HEADER_LIMIT})


def _graph(header, blobs=(b"init", b"apply"), more=b""):
    reader = frames.Reader(frames.encode(header, blobs) + more)
    return reply.graph_of(reader, PROCESSOR, [SIZE], limit=100)


def test_a_good_reply_is_a_graph():
    graph = _graph(GOOD)
    assert graph.parameters[0].shape == (4, 4)
    assert graph.at(SIZE).outputs == ((2, 3, 4), None)
    assert (graph.at(SIZE).init, graph.at(SIZE).apply) == (b"init", b"apply")
    assert graph.properties == {"inf_bias": False, "inf_bias_edge": True}


@pytest.mark.parametrize(
    ("header", "blobs", "more"),
    [
        ({**GOOD, "parameters": [["w", [4, -1], "float32", None]]}, (b"i", b"a"), b""),
        ({**GOOD, "parameters": [["w", [4, 1.0], "float32", None]]}, (b"i", b"a"), b""),
        ({**GOOD, "parameters": [["w", [True], "float32", None]]}, (b"i", b"a"), b""),
        ({**GOOD, "parameters": [["w", [4], "float64", None]]}, (b"i", b"a"), b""),
        ({**GOOD, "parameters": [["w\n", [4], "float32", None]]}, (b"i", b"a"), b""),
        ({**GOOD, "parameters": [["w", [4], "float32", None]] * 2}, (b"i", b"a"), b""),
        ({**GOOD, "parameters": {"w": 1}}, (b"i", b"a"), b""),
        ({**GOOD, "parameters": [["w", [1 << 40], "float32", None]]}, (b"i", b"a"), b""),
        ({**GOOD, "outputs": [[[2, 3, 5], None]]}, (b"i", b"a"), b""),
        ({**GOOD, "outputs": [[None, None]]}, (b"i", b"a"), b""),
        ({**GOOD, "outputs": [[[2, 3, 4]]]}, (b"i", b"a"), b""),
        ({**GOOD, "outputs": []}, (b"i", b"a"), b""),
        ({**GOOD, "properties": {"inf_bias": 1, "inf_bias_edge": True}}, (b"i", b"a"), b""),
        ({**GOOD, "properties": {}}, (b"i", b"a"), b""),
        (GOOD, (b"i",), b""),
        (GOOD, (b"i", b""), b""),
        (GOOD, (b"i", b"a", b"b", b"c"), b""),
        (GOOD, (b"i" * 101, b"a"), b""),
        (GOOD, (b"i", b"a"), b"more"),
        ({}, (), b""),
    ],
)
def test_bad_replies_are_rejected(header, blobs, more):
    with pytest.raises(Rejected, match="trace: its reply is malformed"):
        _graph(header, blobs, more)


INITIALISERS = [
    ["constant", [-3]],
    ["normal", [0.5, 1e-3]],
    ["truncated_normal", [0.1, 0.0, -2.0, 2.0]],
    ["uniform", [-1.0, 1e6]],
]
NOT_INITIALISERS = {
    "NaN": ["constant", [math.nan]],
    "infinity": ["normal", [math.inf, 0.0]],
    "huge": ["normal", [1.0, 1.0000001e6]],
    "no float": ["constant", [10**400]],
    "text": ["constant", ["1"]],
    "truth": ["constant", [True]],
    "unknown": ["laplace", [1.0, 0.0]],
    "no name": [["constant"], [0.0]],
    "too few": ["truncated_normal", [1.0, 0.0]],
    "too many": ["constant", [0.0, 0.0]],
    "bounds exchanged": ["uniform", [1.0, -1.0]],
    "equal bounds": ["truncated_normal", [1.0, 0.0, 2.0, 2.0]],
    "no numbers": ["constant"],
    "numbers by name": ["constant", {"value": 0.0}],
    "more": ["constant", [0.0], "more"],
    "code": "jnp.zeros",
    "nothing": [],
}


def _drawn(initialiser, init=b""):
    header = {**GOOD, "parameters": [["p/w", [4, 4], "float32", initialiser]]}
    # Python's own writer lets NaN and infinity pass.
    text = json.dumps(header).encode()
    blobs = (init, b"apply")
    lengths = struct.pack(">IIQQ", len(text), 2, *map(len, blobs))
    reader = frames.Reader(frames.MAGIC + lengths + text + b"".join(blobs))
    return reply.graph_of(reader, PROCESSOR, [SIZE], limit=100)


@pytest.mark.parametrize("initialiser", INITIALISERS, ids=lambda i: i[0])
def test_a_reply_may_describe_initialisers(initialiser):
    (parameter,) = _drawn(initialiser).parameters
    kind, numbers = initialiser
    assert parameter.initialiser == Initialiser(kind, tuple(map(float, numbers)))


@pytest.mark.parametrize("initialiser", NOT_INITIALISERS.values(), ids=[*NOT_INITIALISERS])
def test_descriptions_that_are_none_are_rejected(initialiser):
    with pytest.raises(Rejected, match="trace: its reply is malformed"):
        _drawn(initialiser)


def test_init_is_there_exactly_if_some_parameter_needs_it():
    assert _drawn(None, b"init").sizes[0].init == b"init"
    for initialiser, init in ((None, b""), (INITIALISERS[0], b"init")):
        with pytest.raises(Rejected, match="trace: its reply is malformed"):
            _drawn(initialiser, init)


@given(JSON | st.tuples(st.sampled_from(["constant", "uniform"]), st.lists(st.floats())))
def test_any_description_is_one_or_rejected(initialiser):
    try:
        (parameter,) = _drawn(initialiser).parameters
        assert all(abs(number) <= 1e6 for number in parameter.initialiser.numbers)
    except Rejected as rejected:
        assert rejected.stage == "trace"


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON | st.sampled_from([*GOOD.values()])))
@settings(max_examples=300)
def test_any_reply_is_a_graph_or_rejected(changes):
    try:
        assert _graph({**GOOD, **changes}).slot == "processor"
    except Rejected as rejected:
        assert rejected.stage == "trace"


@pytest.mark.parametrize("reason", ["\x1b[2J\nboo", "x" * 10**5, "", 7, ["a"], {"b": 1}, None])
def test_reasons_are_cleaned(reason):
    with pytest.raises(Rejected) as caught:
        _graph({"error": reason}, ())
    assert caught.value.reason.isprintable()
    assert 0 < len(caught.value.reason) <= 400


@pytest.mark.parametrize(
    "slot", [s for s in SLOTS.values() if s.space is None], ids=lambda s: s.name
)
def test_slots_travel_unchanged(slot):
    sent = frames.Reader(frames.encode(encode_slot(slot))).read(0).header
    assert decode_slot(sent) == slot


def test_amounts_are_readable():
    assert [amount(n) for n in (3 << 30, 64 << 20, 1536, 7)] == [
        "3 GiB",
        "64 MiB",
        "1.5 KiB",
        "7 bytes",
    ]
