"""The protocol: what it carries, and what it refuses."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
import tracemalloc

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import wire
from autograder.errors import MalformedReply, StudentDied, StudentTimeout

ANSWER = b"\x83\xa4type\xa6answer\xa2id\x01\xa5value"
"""An answer up to its value."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES)
def test_values_come_back_as_they_were(value: object) -> None:
    answer = wire.Answer(7, wire.to_value(value))
    reply = wire.decode_reply(wire.encode_frame(answer)[4:])
    assert isinstance(reply, wire.Answer)
    assert wire.from_value(reply.value) == value


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", ">f4"])
def test_arrays_come_back_as_they_were(dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)[:, ::2]
    back = wire.unpack_array(wire.pack_array(array))
    assert back.shape == (2, 2, 4)
    assert np.array_equal(back, array)


def test_objects_are_not_sent() -> None:
    with pytest.raises(TypeError):
        wire.to_value(np.array([object()]))
    with pytest.raises(TypeError):
        wire.to_value({1: "keys must be strings"})


@pytest.mark.parametrize("shape", [[2, 2], [1 << 39, 1 << 39], [-1, -3], [0], [1] * 40])
def test_an_array_that_claims_another_size_is_refused(shape: list[int]) -> None:
    with pytest.raises(MalformedReply):
        wire.unpack_array(wire.Array("float32", shape, bytes(12)))


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_noise_is_refused_without_a_crash(body: bytes) -> None:
    try:
        wire.decode_reply(body)
    except MalformedReply:
        pass


@pytest.mark.parametrize("depth", [40, 450, 600, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    item = b"\x82\xa4type\xa5items\xa5items\x91"
    with pytest.raises(MalformedReply, match="too deep"):
        wire.decode_reply(ANSWER + item * depth + b"\xc0")


def test_values_of_numpys_kinds_are_sent_as_pythons() -> None:
    sent = wire.to_value({np.str_("a"): [np.float64(0.5), np.str_("b"), np.bool_(True), np.int8(3)]})
    assert wire.from_value(wire.decode_reply(wire.encode_frame(wire.Answer(1, sent))[4:]).value) == {  # type: ignore[union-attr]
        "a": (0.5, "b", True, 3)
    }


def test_lists_within_lists_of_ordinary_depth_are_taken() -> None:
    nested: object = ()
    for _ in range(20):
        nested = (nested,)
    reply = wire.decode_reply(wire.encode_frame(wire.Answer(1, wire.to_value(nested)))[4:])
    assert isinstance(reply, wire.Answer)
    assert wire.from_value(reply.value) == nested


HOSTILE = {
    "four thousand million items": b"\xdd\xff\xff\xff\xff",
    "four thousand million pairs": b"\xdf\xff\xff\xff\xff",
    "four gibibytes": b"\xc6\xff\xff\xff\xff",
    "a text of four gibibytes": b"\xdb\xff\xff\xff\xff",
    "millions of nothing": b"\x82\xa4type\xa5items\xa5items\xdd" + (1 << 23).to_bytes(4, "big") + b"\xc0" * (1 << 23),
    "an array without its bytes": msgspec.msgpack.encode(
        {"type": "array", "dtype": "float64", "shape": [1 << 20, 1 << 10], "data": b"12345678"}
    ),
    "an empty array of astronomic size": msgspec.msgpack.encode(
        {"type": "array", "dtype": "float64", "shape": [0, 1 << 40, 1 << 40], "data": b""}
    ),
    "an extension": b"\xc9\xff\xff\xff\xff\x01",
}


@pytest.mark.parametrize("claim", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_claims_more_than_it_carries_is_refused_before_memory_is_taken(claim: bytes) -> None:
    body = ANSWER + claim
    tracemalloc.start()
    try:
        with pytest.raises(MalformedReply):
            reply = wire.decode_reply(body)
            assert isinstance(reply, wire.Answer)
            wire.from_value(reply.value)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_truth_values_that_are_neither_are_refused() -> None:
    with pytest.raises(MalformedReply, match="neither true nor false"):
        wire.unpack_array(wire.Array("bool", [3], b"\x00\x02\x01"))


def test_endless_words_of_an_error_are_refused() -> None:
    with pytest.raises(MalformedReply):
        wire.decode_reply(wire.encode_frame(wire.Raised(1, "ValueError", "x" * 100_000))[4:])


def test_unknown_fields_and_types_are_refused() -> None:
    for message in ({"type": "answer", "id": 1, "value": None, "score": 72}, {"type": "grade", "id": 1}, [1], 5):
        with pytest.raises(MalformedReply):
            wire.decode_reply(msgspec.msgpack.encode(message))


@pytest.mark.parametrize("value", [[None] * 200_000, bytes(60 << 20)])
def test_all_replies_of_a_submission_together_are_bounded(value: object) -> None:
    """Each may be as large as it may: a submission that is asked a hundred times would keep the grader busy."""
    allowance = wire.Allowance()
    packed = {"type": "items", "items": value} if isinstance(value, list) else value
    body = msgspec.msgpack.encode({"type": "answer", "id": 1, "value": packed})
    for _reply in range(4):
        allowance.check()
        with contextlib.suppress(MalformedReply):  # bytes are no answer
            wire.decode_reply(body, allowance)
    with pytest.raises(MalformedReply, match="all together"):
        for _reply in range(12):
            allowance.check()
            with contextlib.suppress(MalformedReply):
                wire.decode_reply(body, allowance)


def test_a_frame_above_the_limit_is_refused_before_it_is_read() -> None:
    reading, writing = _pipe()
    os.write(writing, (1 << 31).to_bytes(4, "little"))
    with pytest.raises(MalformedReply, match="too large"):
        wire.read_frame(reading, 1 << 20, time.monotonic() + 5)


@pytest.mark.parametrize("sent", [b"", (100).to_bytes(4, "little"), (100).to_bytes(4, "little") + b"a few bytes"])
def test_silence_ends_at_the_deadline(sent: bytes) -> None:
    reading, writing = _pipe()
    os.write(writing, sent)
    with pytest.raises(StudentTimeout):
        wire.read_frame(reading, 1 << 20, time.monotonic() + 0.2)


def test_a_drip_ends_at_the_deadline() -> None:
    reading, writing = _pipe()
    ended = threading.Event()

    def drip() -> None:
        os.write(writing, (1 << 20).to_bytes(4, "little"))
        while not ended.wait(0.01):
            os.write(writing, b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with pytest.raises(StudentTimeout):
            wire.read_frame(reading, 1 << 20, time.monotonic() + 0.3)
    finally:
        ended.set()
        dripping.join()


def test_single_bytes_without_pause_do_not_keep_the_reader_busy() -> None:
    reading, writing = _pipe()
    stream = "import os; os.write(1, (1 << 26).to_bytes(4, 'little'))\nwhile True: os.write(1, b'x')"
    with subprocess.Popen([sys.executable, "-c", stream], stdout=writing) as streaming:
        select.select([reading], [], [])
        began = time.thread_time()
        try:
            with pytest.raises(StudentTimeout):
                wire.read_frame(reading, 1 << 26, time.monotonic() + 0.5)
            assert time.thread_time() - began < 0.15
        finally:
            streaming.kill()


def test_a_closed_pipe_is_a_dead_process() -> None:
    reading, writing = _pipe()
    os.close(writing)
    with pytest.raises(StudentDied):
        wire.read_frame(reading, 1 << 20, time.monotonic() + 5)


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    return reading, writing
