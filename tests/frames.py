"""Frames as a hostile process would send them: valid ones of every kind, mutated."""

from __future__ import annotations

import math
import os
import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from autograder import wire
from autograder.errors import MalformedReply, StudentDied

LIMIT = 1 << 20
"""Largest body that the decoder is told to take."""
_REF = wire.Ref(7, "layer", "Dense")
_NUMBERS = wire.pack_array(np.arange(12, dtype=np.float32).reshape(2, 3, 2))
_TRUTH = wire.pack_array(np.array([True, False]))
_VALUES: list[wire.Value] = [
    None, True, -3, 2.5, "text", _NUMBERS, _TRUTH, wire.Items([1, wire.Items([_NUMBERS])]),
    wire.Table({"loss": wire.Items([0.5, math.nan]), "model": _REF}), _REF,
]  # fmt: skip
QUESTIONS: list[wire.Question] = [
    wire.Load("utilities", "x = 1", modules={"tools": "y = 2"}),
    wire.StandIn("def f(): pass", ["f"]),
    wire.Call("module", "attention", list(_VALUES), {"mask": _NUMBERS}),
    wire.Apply(_REF, [_NUMBERS], training=True),
    wire.Gradients(_REF, [_NUMBERS], _NUMBERS),
    wire.Describe(_REF),
    wire.SetWeights(_REF, [_NUMBERS, _TRUTH]),
    wire.BuildModel([[None, 4]], [wire.Node("keras.Dense", [0], [1], {"units": 3}, [2])]),
    wire.Count("make_vit", {"size": 3}),
    wire.RunCell("a", "x = 1"),
    wire.RunCell("b", "y = 2", weightless=True, seconds=3.0),
    wire.Restart(),
    wire.Lacking(["x", "y"]),
    wire.OtherKeras(),
    wire.Read("total"),
    wire.Train("train", [_REF], {"epochs": 1}),
]
REPLIES: list[wire.Reply] = [
    *(wire.Answer(1, value) for value in _VALUES),
    wire.Raised(1, "ValueError", "no", place="utilities.py, in f", line=3),
    wire.Raised(2, "NameError", "there is none", missing="total"),
    wire.Raised(3, "Interrupted", "", interrupted=True),
    wire.Ready(wire.Environment(tensorflow="2.21", device="cpu", sandbox=("namespaces",))),
    wire.Refused("landlock", "missing"),
]
MESSAGES: list[wire.Request | wire.Reply] = [*(wire.Request(1, question) for question in QUESTIONS), *REPLIES]
ODD: list[Any] = [
    None, True, -1, 0, 1 << 40, (1 << 64) - 1, -(1 << 63), math.nan, math.inf, -0.0, "", "\ud7ff\x00", "x" * 5000,
    b"", b"\xff" * 9, [], {}, [1 << 40] * 16, [0, 1 << 40, 1 << 40], [[[]]], "float32", "object", "complex128", ">f4",
    "answer", "array", "items", {"type": "answer"}, {"type": "items", "items": [None]},
]  # fmt: skip
CLAIMS = [
    first + size
    for first in (b"\xc6", b"\xdb", b"\xdd", b"\xdf", b"\xc9")
    for size in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x10\x00\x00")
] + [b"\xdc\xff\xff", b"\xde\xff\xff", b"\xc5\xff\xff", b"\xd4", b"\xc1"]


def fuzz_frames(count: int, seed: int) -> Counter[str]:
    """Feed mutated frames to the decoder and return how many ended how.

    Raises:
        AssertionError: If one was taken for what it is not.
        Exception: Whatever the decoder raises besides the errors that it documents.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    outcomes: Counter[str] = Counter()
    for number in range(count):
        frame = mutated(rng, MESSAGES[number % len(MESSAGES)])
        try:
            outcomes[feed(frame)] += 1
        except Exception as error:
            error.add_note(f"seed {seed}, frame {number}: {frame[:200].hex()}")
            raise
    return outcomes


def feed(frame: bytes) -> str:
    """Send one frame through a pipe and decode what arrives, as a request and as a reply."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        os.write(writing, frame)
        os.close(writing)
        body = wire.read_frame(reading, LIMIT, time.monotonic() + 30)
    except StudentDied:
        return "ended early"
    except MalformedReply:
        return "too large"
    finally:
        os.close(reading)
    taken = [_taken(decode, body) for decode in (wire.decode_request, wire.decode_reply)]
    return "valid" if any(taken) else "refused"


def _taken(decode: Callable[[bytes], wire.Request | wire.Reply], body: bytes) -> bool:
    """Return whether the body was decoded; then it must survive another round, and carry what it claims."""
    try:
        message = decode(body)
        plain = wire.from_value(message.value) if isinstance(message, wire.Answer) else None
    except MalformedReply:
        return False
    again = wire.encode_frame(message)
    assert wire.encode_frame(decode(again[4:])) == again
    assert sum(array.nbytes for array in _arrays(plain)) <= len(body)
    return True


def _arrays(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _arrays(item)


def mutated(rng: random.Random, message: wire.Request | wire.Reply) -> bytes:
    """Return the frame of a message after up to three mutations of its parts, its bytes and its length."""
    tree = msgspec.msgpack.decode(wire.encode_frame(message)[4:])
    for _ in range(rng.choice((0, 0, 1, 2))):
        tree = _changed(rng, tree)
    body = msgspec.msgpack.encode(tree)
    for _ in range(rng.choice((0, 1, 1, 2))):
        body = rng.choice((_flipped, _cut, _grown, _claimed, _nested))(rng, body)
    length = len(body) if rng.random() < 0.9 else rng.choice((0, 1, len(body) * 2, LIMIT, LIMIT + 1, (1 << 32) - 1))
    return (struct.pack("<I", length) + body)[: 1 << 16]  # what a pipe holds


def _changed(rng: random.Random, tree: Any) -> Any:
    """Return the tree with one part replaced, removed, doubled or added."""
    if isinstance(tree, dict) and tree and rng.random() < 0.85:
        key = rng.choice(list(tree))
        rest = {name: part for name, part in tree.items() if name != key}
        fate = rng.random()
        if fate < 0.1:
            return rest
        return rest | {rng.choice(("extra", "type", "shape")) if fate < 0.2 else key: _changed(rng, tree[key])}
    if isinstance(tree, list) and tree and rng.random() < 0.85:
        place = rng.randrange(len(tree))
        times = rng.choice((0, 1, 1, 1, 2, 40))
        return [*tree[:place], *[_changed(rng, tree[place])] * times, *tree[place + 1 :]]
    return rng.choice(ODD)


def _flipped(rng: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.choice((1, 1, 2, 8)) if body else 0):
        changed[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: random.Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _grown(rng: random.Random, body: bytes) -> bytes:
    place = rng.randrange(len(body) + 1)
    return body[:place] + rng.randbytes(rng.randrange(1, 20)) + body[place:]


def _claimed(rng: random.Random, body: bytes) -> bytes:
    """Have some part announce far more than follows."""
    place = rng.randrange(len(body) + 1)
    return body[:place] + rng.choice(CLAIMS) + body[place + rng.choice((0, 1)) :]


def _nested(rng: random.Random, body: bytes) -> bytes:
    """Put lists within lists, or values within values, in some place."""
    place, depth = rng.randrange(len(body) + 1), rng.choice((2, 30, 70, 600, 3000))
    items = b"\x82\xa4type\xa5items\xa5items\x91"
    return body[:place] + rng.choice((b"\x91", items, b"\x81\xa1a")) * depth + body[place:]
