"""Show how far long work is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from autograder.progress import ProgressListener, no_progress

FEWEST = 2
"""Items that must be done before the time left is shown: the first one also pays for what starts only once."""
PAUSE = 2.0
"""Least seconds between two lines where there is no terminal; the last line always comes."""
LINES = 10
"""Most lines of a piece of work where there is no terminal, besides the first."""


class Estimate:
    """The time left, if the items to come take as long as those so far.

    rich's own estimate would not do: it counts cached results, which take no time, and stands still between items.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._last = clock()
        self._worked = self._left = 0

    def update(self, done: int, total: int, free: int = 0) -> None:
        """Take in a progress update; see `ProgressListener`."""
        worked, now = done - free, self._clock()
        if worked <= 0:  # time that cached results took does not count
            self._began = self._last = now
        elif worked != self._worked:
            self._last = now
        self._worked, self._left = worked, total - done

    def seconds(self) -> float | None:
        """Return the seconds left, at least 0; None at the end, and as long as too little was seen."""
        if self._worked < FEWEST or not self._left:
            return None
        each = (self._last - self._began) / self._worked
        return max(0.0, each * self._left - (self._clock() - self._last))


def about(seconds: float) -> str:
    """Return a length of time as people say it, no more exact than an estimate is."""
    if seconds < 5:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5} s"
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes < 90 else f"about {minutes // 60} h {minutes % 60} min"


@contextmanager
def shown(what: str, console: Console, *, quiet: bool = False, alike: bool = True) -> Iterator[ProgressListener]:
    """Show the progress of a piece of work while it runs; yields the listener.

    Args:
        what: The work, such as `grading`.
        console: Where to; a terminal gets a bar, which is removed at the end.
        quiet: Show nothing.
        alike: Whether the items take about as long as each other; if not, the time left is not estimated.
    """
    if quiet:
        yield no_progress
    elif console.file.isatty() and not console.is_dumb_terminal:
        with _bar(console) as bar:
            yield _Bar(what, bar, alike)
    else:
        yield _Lines(what, console, alike)


def _bar(console: Console) -> Progress:
    current = TextColumn("{task.fields[current]}", markup=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _TimeLeftColumn(),
    )
    return Progress(*columns, current, console=console, transient=True)


class _TimeLeftColumn(ProgressColumn):
    """Shows the time left; rich asks several times a second, so it counts down between items, too."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["left"]())


class _Bar:
    """Moves a bar."""

    def __init__(self, what: str, bar: Progress, alike: bool) -> None:
        self._estimate, self._alike = Estimate(), alike
        self._bar = bar
        self._task = bar.add_task(what, total=None, current="", left=self._left)

    def __call__(self, done: int, total: int, current: str, *, free: int = 0) -> None:
        self._estimate.update(done, total, free)
        self._bar.update(self._task, completed=done, total=total, current=current)

    def _left(self) -> str:
        seconds = self._estimate.seconds() if self._alike else None
        return "" if seconds is None else f"{about(seconds)} left"


class _Lines:
    """Prints a line at the beginning, and one for every tenth of the work."""

    def __init__(self, what: str, console: Console, alike: bool) -> None:
        self._estimate, self._alike = Estimate(), alike
        self._what, self._console = what, console
        self._tenth, self._printed_at = -1, -PAUSE

    def __call__(self, done: int, total: int, current: str, *, free: int = 0) -> None:
        self._estimate.update(done, total, free)
        tenth, now = done * LINES // max(total, 1), time.monotonic()
        too_soon = now - self._printed_at < PAUSE and done < total
        if total < 2 or tenth == self._tenth or too_soon:  # the result says all of a single item
            return
        self._tenth, self._printed_at = tenth, now
        self._console.print(self._line(done, total, current))

    def _line(self, done: int, total: int, current: str) -> str:
        seconds = self._estimate.seconds() if self._alike else None
        left = "" if seconds is None else f", {about(seconds)} left"
        return f"{self._what}: {done} of {total}{left}" + (f"; now {current}" if current else "")
