"""How much a MessagePack body may claim: looked at before anything is made of it.

A few bytes can announce four thousand million items, or lists within lists without end. This scan makes
no objects: it follows the announced sizes, and stops at the first that the body cannot carry.
"""

from __future__ import annotations

from dataclasses import dataclass

from autograder.errors import MalformedReply

MAX_DEPTH = 64
"""Containers within containers; a list within a list is two levels, for its own tag."""
MAX_VALUES = 1 << 18
"""Values in one body, keys included; an array of numbers is one value, whatever its size."""

MOST_VALUES_IN_ALL, MOST_BYTES_IN_ALL = 1 << 20, 1 << 29
"""Of all replies of one submission: reading them takes the grader a second for each half million values or gigabyte."""

_DATA, _ITEMS, _PAIRS = 0, 1, 2


@dataclass
class Allowance:
    """How much the replies of one submission may still hold, all together; each takes its part.

    Attributes:
        values: Values as `check_bounds` counts them.
        bytes: Length of the bodies.
    """

    values: int = MOST_VALUES_IN_ALL
    bytes: int = MOST_BYTES_IN_ALL

    def check(self) -> None:
        """Refuse to read any more once it is used up.

        Raises:
            MalformedReply: If it is.
        """
        if self.values < 0 or self.bytes < 0:
            raise MalformedReply("Your code's answers were too large, all together, to be read.")


def check_bounds(body: bytes) -> int:
    """Refuse a body that is too deep, holds too many values, or claims more than it carries.

    Args:
        body: One MessagePack value; what it means is not looked at.

    Returns:
        How many values it holds.

    Raises:
        MalformedReply: If it is out of bounds, or not MessagePack of the kinds used here.
    """
    position = values = 0
    missing = [1]  # values still to come, by level
    while missing:
        if missing[-1] == 0:
            missing.pop()
            continue
        missing[-1] -= 1
        values += 1
        count, kind, position = _token(body, position)
        if count > len(body) - position or values + count * kind > MAX_VALUES or len(missing) > MAX_DEPTH:
            raise MalformedReply("Your code's answer could not be read: it is too deep, too long or cut off.")
        if kind == _DATA:
            position += count
        else:
            missing.append(count * kind)
    return values


def _token(body: bytes, position: int) -> tuple[int, int, int]:
    """Return what the value at `position` announces: how many, of which kind, and where they begin."""
    token = _TOKENS.get(body[position]) if position < len(body) else None
    if token is None:
        raise MalformedReply("Your code's answer could not be read: it is cut off, or of an unknown type.")
    width, count, kind = token
    position += 1
    if width:
        count = int.from_bytes(body[position : position + width], "big")
    return count, kind, position + width


def _tokens() -> dict[int, tuple[int, int, int]]:
    """Return first byte to width of the length that follows, length if none does, and kind; without extensions."""
    tokens = {first: (0, 0, _DATA) for first in (*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3)}
    tokens |= {0x80 + count: (0, count, _PAIRS) for count in range(16)}
    tokens |= {0x90 + count: (0, count, _ITEMS) for count in range(16)}
    tokens |= {0xA0 + count: (0, count, _DATA) for count in range(32)}
    tokens |= {0xC4 + power: (1 << power, 0, _DATA) for power in range(3)}  # bytes
    tokens |= {0xD9 + power: (1 << power, 0, _DATA) for power in range(3)}  # text
    tokens |= {0xCA: (0, 4, _DATA), 0xCB: (0, 8, _DATA)}  # floats
    tokens |= {first + power: (0, 1 << power, _DATA) for first in (0xCC, 0xD0) for power in range(4)}  # integers
    return tokens | {0xDC: (2, 0, _ITEMS), 0xDD: (4, 0, _ITEMS), 0xDE: (2, 0, _PAIRS), 0xDF: (4, 0, _PAIRS)}


_TOKENS = _tokens()
