"""What lateness costs as of today.

nbgrader fixes a late penalty when it grades. Here it is computed from today's score and due date, so that marks given
by hand and extensions granted since then are in it.
"""

from __future__ import annotations

import logging
import math
from typing import Any

from nbformat import NotebookNode
from nbgrader.api import Gradebook, SubmittedAssignment, SubmittedNotebook
from nbgrader.preprocessors import AssignLatePenalties
from traitlets import TraitError
from traitlets.config import Config

from autograder.deadlines.extensions import seconds_late
from autograder.errors import ConfigError

SETTING = "c.AssignLatePenalties.plugin_class"
REMEDY = f"Fix the class that {SETTING} in course_config.py names; a module may stand beside that file."
_TRIED = ((10.0, 3600.0), (0.0, 60.0))
"""Score and seconds late with which a policy is tried."""
_LATE = tuple(3600.0 * hours for hours in (0.1, 1, 25, 24 * 8, 24 * 40))
"""Seconds from a few minutes to weeks: a policy may forgive the first day."""


class LatePolicy:
    """The course's own policy, asked again: `c.AssignLatePenalties.plugin_class` in course_config.py."""

    def __init__(self, policy: AssignLatePenalties | None) -> None:
        self._policy = policy

    def penalty(self, submission: SubmittedAssignment, seconds: float) -> float:
        """Return the points that lateness takes from a submission today: see `penalties`."""
        return sum(self.penalties(submission, seconds).values())

    def penalties(self, submission: SubmittedAssignment, seconds: float) -> dict[str, float]:
        """Return the points that lateness takes from each notebook today: never below 0 nor above its score.

        Args:
            submission: From the gradebook.
            seconds: By how much it is late: see `extensions.seconds_late`.

        Returns:
            Points by the notebook's id in the gradebook; nothing where none are taken.

        Raises:
            ConfigError: If the course's policy fails.
        """
        if self._policy is None or seconds <= 0:
            return {}
        notebooks: list[SubmittedNotebook] = submission.notebooks
        student = str(submission.student.id)
        return {str(notebook.id): self._points(student, float(notebook.score), seconds) for notebook in notebooks}

    def try_out(self) -> None:
        """Ask the policy for a penalty of nobody's.

        Raises:
            ConfigError: If it fails.
        """
        for score, seconds in _TRIED if self._policy is not None else ():
            self._points("nobody", score, seconds)

    def takes_points(self) -> bool:
        """Return whether lateness costs anything at all, by what the policy takes from nobody's submission.

        Raises:
            ConfigError: If it fails.
        """
        return self._policy is not None and any(self._points("nobody", 10.0, seconds) > 0 for seconds in _LATE)

    def _points(self, student: str, score: float, seconds: float) -> float:
        try:
            asked = self._policy.plugin_inst.late_submission_penalty(student, score, seconds)  # type: ignore[union-attr]
            return 0.0 if asked is None else _bounded(asked, score)
        except Exception as error:  # the instructor's own code: anything can go wrong in it
            problem = f"The late policy failed for {student}, {seconds:.0f} s late: {type(error).__name__}: {error}."
            raise ConfigError(problem, REMEDY) from error


def _bounded(asked: object, score: float) -> float:
    """Return the points that a policy takes: never less than none, never more than there are.

    Raises:
        ValueError: If it returned no number of points.
    """
    if isinstance(asked, (bool, str, bytes)) or math.isnan(float(asked)):  # type: ignore[arg-type]
        raise ValueError(f"{asked!r} is no number of points")
    return min(max(0.0, float(asked)), max(0.0, score))  # type: ignore[arg-type]


def _assign_penalty(
    self: AssignLatePenalties, nb: NotebookNode, resources: dict[str, Any]
) -> tuple[NotebookNode, dict[str, Any]]:
    """Stand in for nbgrader's step, which stores what is no number, and does not say that the policy failed."""
    names = resources["nbgrader"]
    self.init_plugin()
    with Gradebook(names["db_url"]) as book:
        submission = book.find_submission(names["assignment"], names["student"])
        penalties = LatePolicy(self).penalties(submission, seconds_late(submission, None))
        notebook = book.find_submission_notebook(names["notebook"], names["assignment"], names["student"])
        notebook.late_submission_penalty = penalties.get(str(notebook.id), 0.0) or None
        book.db.commit()
    return nb, resources


def adapt_penalties() -> None:
    """Let nbgrader's step ask the course's policy as we do, for all that it grades in this process."""
    AssignLatePenalties.preprocess = _assign_penalty


def late_policy(config: Config) -> LatePolicy:
    """Return the late policy of a course; one that takes nothing where grading applies none.

    Args:
        config: The whole of course_config.py.

    Raises:
        ConfigError: If the course's own policy cannot be imported or made.
    """
    steps = config.get("Autograde", Config()).get("autograde_preprocessors")
    if isinstance(steps, list) and not any("AssignLatePenalties" in str(step) for step in steps):
        return LatePolicy(None)
    try:
        policy = AssignLatePenalties(config=config, log=logging.Logger("late policy", logging.CRITICAL))
        policy.init_plugin()
    except Exception as error:  # the instructor's own code, or no module of that name
        reason = error.__cause__ if isinstance(error, TraitError) and error.__cause__ else error
        raise ConfigError(f"{SETTING} cannot be used: {type(reason).__name__}: {reason}.", REMEDY) from error
    return LatePolicy(policy)
