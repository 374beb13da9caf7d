"""How far long work is: estimates that are honest, a bar on a terminal, few lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from autograder.cli import progress_bar
from autograder.cli.progress_bar import Estimate, about, shown
from autograder.progress import part_of


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


def test_the_time_left_follows_from_the_work_that_was_done() -> None:
    clock = Clock()
    estimate = Estimate(clock)
    estimate.update(0, 30)
    assert estimate.seconds() is None
    clock.now = 10
    estimate.update(1, 30)
    assert estimate.seconds() is None, "one item may hold the start of everything"
    clock.now = 20
    estimate.update(2, 30)
    assert estimate.seconds() == 280
    clock.now = 25
    assert estimate.seconds() == 275, "it counts down between items"
    clock.now = 1000
    assert estimate.seconds() == 0, "never below zero"


def test_cached_results_make_nothing_look_faster() -> None:
    clock = Clock()
    estimate = Estimate(clock)
    for done in range(21):
        clock.now = done / 10
        estimate.update(done, 30, free=done)
    clock.now = 102
    estimate.update(25, 30, free=20)
    assert estimate.seconds() == pytest.approx(100)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a few seconds"),
        (42, "about 40 s"),
        (89, "about 90 s"),
        (95, "about 2 min"),
        (3600, "about 60 min"),
        (7800, "about 2 h 10 min"),
    ],
)
def test_times_are_no_more_exact_than_they_can_be(seconds: float, words: str) -> None:
    assert about(seconds) == words


def lines_of(total: int, pause: float = 0.0, **options: bool) -> list[str]:
    file = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress_bar, "PAUSE", pause)
        follow(file, total, options)
    return file.getvalue().splitlines()


def follow(file: io.StringIO, total: int, options: dict[str, bool]) -> None:
    with shown("grading", Console(file=file, width=200), **options) as progress:
        for done in range(total + 1):
            progress(done, total, f"student-{done + 1}" if done < total else "")


def test_without_a_terminal_there_is_a_line_for_every_tenth() -> None:
    lines = lines_of(200)
    assert len(lines) == 11
    assert lines[0] == "grading: 0 of 200; now student-1"
    assert lines[1].startswith("grading: 20 of 200, a few seconds")
    assert lines[1].endswith(" left; now student-21")
    assert lines[-1] == "grading: 200 of 200"
    assert [line.split(";")[0] for line in lines_of(3, alike=False)] == [f"grading: {n} of 3" for n in range(4)]
    assert lines_of(1) == [], "one item says nothing that the result does not say"


def test_quick_work_says_only_that_it_begins_and_ends() -> None:
    assert lines_of(50, pause=1000.0) == ["grading: 0 of 50; now student-1", "grading: 50 of 50"]


def test_quiet_shows_nothing() -> None:
    assert lines_of(20, quiet=True) == []
    terminal = Terminal()
    with shown("grading", Console(file=terminal, force_terminal=True), quiet=True) as progress:
        progress(1, 2, "student-1")
    assert terminal.getvalue() == ""


def test_on_a_terminal_a_bar_names_the_current_student_as_it_is() -> None:
    terminal = Terminal()
    with shown("grading", Console(file=terminal, width=120, force_terminal=True, color_system="standard")) as progress:
        progress(3, 30, "[bold]student-4")
    text = terminal.getvalue()
    for part in ("grading", "3/30", "[bold]student-4"):
        assert part in text


def test_several_runs_are_one_piece_of_work() -> None:
    heard: list[tuple[int, int, str]] = []

    def hear(done: int, total: int, current: str, *, free: int = 0) -> None:
        heard.append((done, total, current))

    for run in range(2):
        progress = part_of(run, 2, hear)
        progress(0, 5, "a")
        progress(5, 5, "")
    assert heard == [(0, 10, "a"), (5, 10, ""), (5, 10, "a"), (10, 10, "")]
