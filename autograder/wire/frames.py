"""Length-prefixed MessagePack frames, bounded before they are read and again before they are decoded."""

from __future__ import annotations

import os
import select
import struct
import time
from typing import TypeVar

import msgspec

from autograder.errors import MalformedReply, StudentDied, StudentTimeout
from autograder.wire.bounds import Allowance, check_bounds
from autograder.wire.messages import Reply, Request

MAX_REQUEST_BYTES = 1 << 30
_HEADER = struct.Struct("<I")
_CHUNK = 1 << 20
_SMALL, _PAUSE = 2048, 0.001  # bytes, seconds

_Message = TypeVar("_Message")
_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def encode_frame(message: Request | Reply) -> bytes:
    """Return one frame: four bytes of length, little-endian, then MessagePack."""
    body = _encoder.encode(message)
    return _HEADER.pack(len(body)) + body


def decode_request(body: bytes) -> Request:
    """Return the request in a frame's body (student side).

    Raises:
        MalformedReply: If it is anything but a request.
    """
    return _decode(_requests, body, Allowance())


def decode_reply(body: bytes, allowance: Allowance | None = None) -> Reply:
    """Return the reply in a frame's body (grader side).

    Args:
        body: What came.
        allowance: Of the submission, from which its size is taken.

    Raises:
        MalformedReply: If it is anything but a reply.
    """
    return _decode(_replies, body, allowance or Allowance())


def _decode(decoder: msgspec.msgpack.Decoder[_Message], body: bytes, allowance: Allowance) -> _Message:
    allowance.bytes -= len(body)
    allowance.values -= check_bounds(body)
    try:
        return decoder.decode(body)
    except ValueError as error:  # msgspec's own errors, and those of text that is not UTF-8
        raise MalformedReply("Your code's answer could not be read.") from error


def write_frame(descriptor: int, frame: bytes, deadline: float | None = None) -> None:
    """Write a whole frame.

    Args:
        descriptor: Open for writing; non-blocking if a deadline is given.
        frame: From `encode_frame`.
        deadline: `time.monotonic()` after which to give up, or None to wait for ever.

    Raises:
        StudentTimeout: If the other side did not take the frame in time.
        StudentDied: If nobody reads any more.
    """
    view = memoryview(frame)
    while view:
        _wait(descriptor, select.POLLOUT, deadline)
        try:
            view = view[os.write(descriptor, view[:_CHUNK]) :]
        except BlockingIOError:
            continue
        except BrokenPipeError as error:
            raise StudentDied("Your code's process ended before it answered.") from error


def read_frame(descriptor: int, limit: int, deadline: float | None = None) -> bytes:
    """Read one frame's body.

    Args:
        descriptor: Open for reading; non-blocking if a deadline is given.
        limit: Largest body, in bytes; a longer one is refused before it is read.
        deadline: `time.monotonic()` after which to give up, or None to wait for ever.

    Raises:
        StudentTimeout: If the frame was not whole in time, however it trickled.
        StudentDied: If the other side closed.
        MalformedReply: If the frame is larger than `limit`.
    """
    (length,) = _HEADER.unpack(_read_exactly(descriptor, _HEADER.size, deadline))
    if length > limit:
        raise MalformedReply(f"Your code's answer is too large (more than {limit >> 20} MiB).")
    return _read_exactly(descriptor, length, deadline)


def _read_exactly(descriptor: int, size: int, deadline: float | None) -> bytes:
    received = bytearray()
    while len(received) < size:
        _wait(descriptor, select.POLLIN, deadline)
        try:
            chunk = os.read(descriptor, min(size - len(received), _CHUNK))
        except BlockingIOError:
            continue
        if not chunk:
            raise StudentDied("Your code's process ended before it answered.")
        received += chunk
        if len(chunk) < _SMALL and len(received) < size:
            time.sleep(_PAUSE)  # whoever sends single bytes would keep this side busy with each of them
    return bytes(received)


def _wait(descriptor: int, event: int, deadline: float | None) -> None:
    poller = select.poll()
    poller.register(descriptor, event)
    left = None if deadline is None else deadline - time.monotonic()
    if (left is not None and left <= 0) or not poller.poll(None if left is None else left * 1000):
        raise StudentTimeout("No answer came in time.")
