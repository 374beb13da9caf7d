"""Every error the package raises, in two families.

`AutograderError` is ours or the instructor's: the command line prints it and ends.
`StudentFault` is the submission's: it fails one check with a sentence the student reads.
"""

from __future__ import annotations

from autograder.text import first_sentences

RENAME = "Rename the submission's folder."
"""What to do where a name cannot be a student's id: see `text.problem_with_id`."""
_LONGEST_SHOWN = 360
"""Characters of an exception's text in a message."""


class AutograderError(Exception):
    """Root of all errors that are not the student's.

    Args:
        problem: What went wrong: what was expected and what came.
        remedy: What to do about it; may be empty.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem if not remedy else f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


class UsageError(AutograderError):
    """The command was called with words it cannot use (exit status 2)."""


class ConfigError(AutograderError):
    """`course_config.py` is missing, unreadable or has a wrong value."""


class AssignmentError(AutograderError):
    """The assignment's folders, notebook or checks do not fit together."""


class CorpusError(AutograderError):
    """The corpus that `audit` runs does not fit together."""


class ReleaseRefused(AutograderError):
    """The gate found something in a release that students must not get."""


class SandboxUnavailable(AutograderError):
    """A required layer of confinement is missing, so nothing may be graded.

    Args:
        reason: Why it is missing.
        remedy: See `AutograderError`.
        layer: Its name in `required_layers`; empty where the whole machine is the reason.
    """

    def __init__(self, reason: str, remedy: str = "", *, layer: str = "") -> None:
        super().__init__(f"{layer}: {reason}" if layer else reason, remedy)
        self.reason = reason
        self.layer = layer


class GpuUnavailable(AutograderError):
    """A GPU is there and cannot be used, or the course demands one and there is none."""


class ZygoteError(AutograderError):
    """The process that student processes are forked from failed or is gone."""


class MachineBusy(AutograderError):
    """A submission ran into a limit because its process was kept from running: nothing is known of its work."""


class ClusterError(AutograderError):
    """The cluster cannot be used: nobody answers, or a worker is not what this machine is."""


class SubmissionUnreadable(AutograderError):
    """A submission cannot be read at all; it is graded 0 with this reason."""


class ArchiveUnreadable(AutograderError):
    """A zip file cannot be read at all."""


class RecordingError(AutograderError):
    """A result could not be written to the gradebook."""


class StudentFault(Exception):
    """Root of everything a submission can do wrong while it is asked a question.

    Args:
        message: One or two sentences for the student: what was asked and what happened.

    Attributes:
        exception: Kind of the exception that is behind it; empty where there is none.
        place: File or cell, and function, where that was raised; empty if unknown.
        line: The line there; 0 if unknown.
    """

    exception, place, line = "", "", 0

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def file_or_cell(place: str) -> str:
    """Return what an exception's place begins with, without the function there."""
    return place.removeprefix("cell ").partition(", in ")[0]


class StudentRaised(StudentFault):
    """The student's code raised an exception.

    Args:
        exception: Name of the exception's class, such as `NotImplementedError`.
        text: The exception's own text, in one line.
        place: File or cell, and function, where it was raised; empty if unknown.
        line: The line there; 0 if unknown.
        missing: The name that a NameError misses.

    Attributes:
        hint: What to do about it; empty where nothing is known.
        interrupted: Whether it was interrupted, since it ran longer than the question allowed.
    """

    def __init__(self, exception: str, text: str, place: str = "", line: int = 0, missing: str = "") -> None:
        if " " in file_or_cell(place):  # a cell that goes by a sentence, which needs no word before it
            place = place.removeprefix("cell ")
        where = f" ({place}, line {line})" if line else ""
        super().__init__(f"Your code raised {exception}: {first_sentences(text, _LONGEST_SHOWN)}{where}")
        self.exception = exception
        self.hint = ""
        self.interrupted = False
        self.text = text
        self.place = place
        self.line = line
        self.missing = missing

    def add_hint(self, hint: str) -> None:
        """Add what to do about it to the message."""
        if hint:
            self.hint = hint
            self.message = f"{self.message.rstrip('.')}. {hint}"


class StudentTimeout(StudentFault):
    """No answer came before the deadline; the process was stopped."""


class StudentDied(StudentFault):
    """The student's process ended before it answered."""


class MalformedReply(StudentFault):
    """What came back is not an answer: broken frame, wrong type, too large."""


class CheckFailed(StudentFault):
    """A hidden check found a wrong answer.

    Args:
        reason: The reason, in words a student can act on; several where each may be the one.
        misconception: Slug of the recognised mistake, such as `unscaled`.

    Attributes:
        sentences: The reasons one by one; `message` has them all.
    """

    def __init__(self, reason: str | tuple[str, ...], misconception: str | None = None) -> None:
        self.sentences = (reason,) if isinstance(reason, str) else reason
        super().__init__(" Or: ".join(self.sentences))
        self.misconception = misconception


class CellStopped(CheckFailed):
    """A cell of the notebook stopped with an error.

    Args:
        cell: Its grade_id.
        error: What it raised.
        hint: What to do about it; may be empty.

    Attributes:
        what: What happened, as a part of a sentence.
        interrupted: Whether it was interrupted, since it ran too long.
    """

    def __init__(self, cell: str, error: StudentRaised, hint: str = "") -> None:
        self.cell = cell
        self.exception, self.place, self.line = error.exception, error.place or f"cell {cell}", error.line
        here = not error.place or file_or_cell(error.place) == cell
        where = f"line {error.line}" if here else f"{error.place}, line {error.line}"
        self.what = f"stops with {error.exception}: {error.text} ({where})"
        self.interrupted = error.interrupted
        if error.interrupted:
            self.what = "takes longer than grading waits for it"
        hints = " ".join(filter(None, (error.hint, hint)))
        super().__init__(f"The notebook's cell `{cell}` {self.what}" + (f". {hints}" if hints else ""))
