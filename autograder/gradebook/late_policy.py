"""What lateness costs as of today.

nbgrader fixes a late penalty when it grades. Here it is computed from today's score and due date, so that marks given
by hand and extensions granted since then are in it.
"""

from __future__ import annotations

import logging

from nbgrader.api import SubmittedAssignment, SubmittedNotebook
from nbgrader.preprocessors import AssignLatePenalties
from traitlets.config import Config


class LatePolicy:
    """The course's own policy, asked again: `c.AssignLatePenalties.plugin_class` in course_config.py."""

    def __init__(self, policy: AssignLatePenalties | None) -> None:
        self._policy = policy

    def penalty(self, submission: SubmittedAssignment) -> float:
        """Return the points that lateness takes from a submission today: never below 0 nor above its score."""
        seconds = submission.total_seconds_late
        if self._policy is None or seconds <= 0:
            return 0.0
        return sum(self._of_notebook(notebook, submission.student.id, seconds) for notebook in submission.notebooks)

    def _of_notebook(self, notebook: SubmittedNotebook, student: str, seconds: float) -> float:
        asked = self._policy.plugin_inst.late_submission_penalty(student, notebook.score, seconds)  # type: ignore[union-attr]
        return 0.0 if asked is None else min(max(0.0, float(asked)), max(0.0, float(notebook.score)))


def late_policy(config: Config) -> LatePolicy:
    """Return the late policy of a course; one that takes nothing where grading applies none.

    Args:
        config: The whole of course_config.py.
    """
    steps = config.get("Autograde", Config()).get("autograde_preprocessors")
    if isinstance(steps, list) and not any("AssignLatePenalties" in str(step) for step in steps):
        return LatePolicy(None)
    policy = AssignLatePenalties(config=config, log=logging.Logger("late policy", logging.CRITICAL))
    policy.init_plugin()
    return LatePolicy(policy)
