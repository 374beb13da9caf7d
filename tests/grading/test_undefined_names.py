"""Names that nobody defines, read off a module's text."""

from __future__ import annotations

import time

import pytest

from autograder.grading.undefined_names import lines_of, undefined_names

MODULE = """
import tensorflow as tf
from math import pi as half_turn
SIZE, *rest = 1, 2
try:
    import fast
except ImportError:
    fast = None

def part(x, *more, unit: tf.Tensor = None, **words):
    def inner(y):
        return [y + z + SIZE for z in more if z] + words_left
    with tf.name_scope("a") as scope:
        for k in range(half_turn):
            x = inner(x) + k + helper(x) + len(rest)
    return x, fast, scope, __name__

class Layer(tf.Module):
    width = 3
    def call(self, x):
        super().call(x)
        return self.nothing + widht, part(x) + widht, wdith

def fine(x):
    return Layer(x)
"""


def test_the_lines_of_parts() -> None:
    assert lines_of(MODULE, frozenset({"fine", "SIZE", "absent"})) == {24, 25}
    assert lines_of("def part(:\n", frozenset({"part"})) == frozenset()


def test_what_functions_and_classes_use_and_nobody_defines() -> None:
    assert undefined_names(MODULE, frozenset({"helper"})) == {
        "part": (("words_left", 12),),
        "Layer": (("wdith", 22), ("widht", 22)),
        "fine": (),
    }
    assert undefined_names(MODULE, frozenset())["part"] == (("words_left", 12), ("helper", 15))


@pytest.mark.parametrize(
    "module",
    [
        "def part(:\n",
        "from utilities import *\ndef part(): return a\n",
        "def part(): return a\nglobals()['a'] = 1\n",
        "def part(): return a\n" + "# much\n" * 10_000,
        "x = " + "(" * 5000 + "\n",
        "\0",
    ],
)
def test_of_what_cannot_be_known_nothing_is_said(module: str) -> None:
    began = time.thread_time()
    assert undefined_names(module, frozenset()) == {}
    assert time.thread_time() - began < 2
