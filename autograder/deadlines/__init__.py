"""When work is due and when it was handed in: reading times, extensions, and what lateness costs."""

from autograder.deadlines import nbgrader_times  # noqa: F401 (nbgrader reads times rightly from here on)
