"""Show on the command line how far long work is: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from autograder.progress import Watch, unwatched

FEWEST = 2
"""Items that must have been worked on before the time left is said: one alone also holds what starts but once."""
PAUSE = 2.0
"""Seconds between two lines at least, where there is no terminal; the last line always comes."""
LINES = 10
"""Lines that a whole piece of work prints at most where there is no terminal, besides the first."""


class Estimate:
    """The time left, if the items to come take as long as those so far.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = self._last = clock()
        self._worked = self._left = 0

    def update(self, done: int, total: int, free: int = 0) -> None:
        """Hear how far the work is; see `Watch`."""
        worked, now = done - free, self._clock()
        if worked <= 0:
            self._begun = now
        if worked != self._worked or worked <= 0:
            self._last = now
        self._worked, self._left = worked, total - done

    def seconds(self) -> float | None:
        """Return the seconds left, never below 0; None while too little was seen, and at the end."""
        if self._worked < FEWEST or not self._left:
            return None
        each = (self._last - self._begun) / self._worked
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
def shown(what: str, console: Console, *, quiet: bool = False, alike: bool = True) -> Iterator[Watch]:
    """Show a piece of work while it runs; yields what is to be told how far it is.

    Args:
        what: The work, such as `grading`.
        console: Where to; a terminal gets a bar that goes away at the end.
        quiet: Show nothing.
        alike: Whether the items take about as long as each other; if not, the time left is not guessed.
    """
    if quiet:
        yield unwatched
    elif console.file.isatty() and not console.is_dumb_terminal:
        with _bar(console) as bar:
            yield _Bar(what, bar, alike)
    else:
        yield _Lines(what, console, alike)


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
        self._tenth, self._said = -1, -PAUSE

    def __call__(self, done: int, total: int, current: str, *, free: int = 0) -> None:
        self._estimate.update(done, total, free)
        tenth = done * LINES // max(total, 1)
        now = time.monotonic()
        if tenth == self._tenth or total < 2 or (now - self._said < PAUSE and done < total):
            return
        self._tenth, self._said = tenth, now
        self._console.print(self._line(done, total, current))

    def _line(self, done: int, total: int, current: str) -> str:
        seconds = self._estimate.seconds() if self._alike else None
        left = "" if seconds is None else f", {about(seconds)} left"
        return f"{self._what}: {done} of {total}{left}" + (f"; now {current}" if current else "")


class _Left(ProgressColumn):
    """Counts down between items, too."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["left"]())


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), _Left())
    current = TextColumn("{task.fields[current]}", markup=False)
    return Progress(*columns, current, console=console, transient=True)
