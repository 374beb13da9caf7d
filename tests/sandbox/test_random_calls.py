"""A few programs of random system calls; `python -m tests.fuzz calls` runs any number."""

from __future__ import annotations

import os

import pytest

from tests.random_calls import outside, run_program, run_programs


def test_random_calls_change_nothing_outside() -> None:
    assert run_programs(4, seed=1000).total() == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="runs as an ordinary user already")
def test_nor_do_they_as_an_ordinary_user() -> None:
    with outside() as watched:
        before = watched.seen()
        run_program(watched, seed=2000, user=65534)
        assert watched.seen() == before


def test_a_change_would_be_seen() -> None:
    with outside() as watched:
        before = watched.seen()
        (watched.folder / "0.txt").write_text("changed")
        assert watched.seen() != before
