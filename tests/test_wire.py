"""The protocol: what it carries, and what it refuses."""

from __future__ import annotations

import os
import time

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import wire
from autograder.errors import MalformedReply, StudentDied, StudentTimeout

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


def test_deep_nesting_is_refused() -> None:
    body = msgspec.msgpack.encode({"type": "answer", "id": 1}) + b""
    nested: object = None
    for _ in range(400):
        nested = {"type": "items", "items": [nested]}
    body = msgspec.msgpack.encode({"type": "answer", "id": 1, "value": nested})
    try:
        wire.decode_reply(body)
    except MalformedReply:
        pass


def test_unknown_fields_and_types_are_refused() -> None:
    for message in ({"type": "answer", "id": 1, "value": None, "score": 72}, {"type": "grade", "id": 1}, [1], 5):
        with pytest.raises(MalformedReply):
            wire.decode_reply(msgspec.msgpack.encode(message))


def test_a_frame_above_the_limit_is_refused_before_it_is_read() -> None:
    reading, writing = _pipe()
    os.write(writing, (1 << 31).to_bytes(4, "little"))
    with pytest.raises(MalformedReply, match="too large"):
        wire.read_frame(reading, 1 << 20, time.monotonic() + 5)


def test_a_drip_ends_at_the_deadline() -> None:
    reading, writing = _pipe()
    os.write(writing, (100).to_bytes(4, "little") + b"a few bytes")
    started = time.monotonic()
    with pytest.raises(StudentTimeout):
        wire.read_frame(reading, 1 << 20, started + 0.2)
    assert time.monotonic() - started < 5


def test_a_closed_pipe_is_a_dead_process() -> None:
    reading, writing = _pipe()
    os.close(writing)
    with pytest.raises(StudentDied):
        wire.read_frame(reading, 1 << 20, time.monotonic() + 5)


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    return reading, writing
