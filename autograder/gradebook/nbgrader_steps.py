"""Run one of nbgrader's own steps in this process, quietly, with the course's settings.

nbgrader changes the working directory while a step runs, so steps run one at a time.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import warnings
from copy import deepcopy
from pathlib import Path

from nbgrader.converters.base import BaseConverter, NbGraderException
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from autograder.course.course import Course, course_from, import_beside_settings
from autograder.deadlines.nbgrader_times import set_due_zone
from autograder.files import replaced_folder
from autograder.gradebook.nbgrader_adaptation import adapt_nbgrader

EXPORTER = "autograder.nbgrader_plugins.SubmissionExporter"
"""Has nbgrader's `autograde` work on copies."""


class StepFailed(Exception):
    """One of nbgrader's steps failed; the message is what nbgrader logged, last line first."""


def course_directory(course: Course, assignment: str, **traits: str) -> CourseDirectory:
    """Return nbgrader's view of the course folder.

    Our commands need it before they open the gradebook or run a step, so here nbgrader is adapted for them.

    Args:
        course: The course.
        assignment: Name of the assignment.
        **traits: Other traits of nbgrader's `CourseDirectory`, such as `db_url`.
    """
    adapt_nbgrader()
    _make_alembic_known()
    root = course.root.resolve()
    config = deepcopy(course.nbgrader)
    _name_gradebook(config, root)
    traits = {"root": str(root), "assignment_id": assignment} | traits
    return CourseDirectory(config=config, **traits)


def prepare_nbgrader(config: Config) -> None:
    """Make nbgrader's own commands, and formgrader, take paths, times and plugins as ours do.

    nbgrader_config.py calls this, which nbgrader alone reads.

    Args:
        config: All settings; those that follow from others are added.
    """
    adapt_nbgrader()
    _make_alembic_known()
    root = Path(config.CourseDirectory.get("root") or Path.cwd()).resolve()
    settings = course_from(root, config).settings
    import_beside_settings(root)
    _name_gradebook(config, root)
    config.Autograde.setdefault("exporter_class", EXPORTER)  # without it nbgrader removes the old notebook first
    set_due_zone(settings.zone)
    config.NbGraderAPI.setdefault("timezone", settings.timezone)  # in which formgrader shows dates


def _name_gradebook(config: Config, root: Path) -> None:
    """Add the gradebook's address where a course names none: nbgrader's own misreads a path with `%` or `?`."""
    if "db_url" not in config.CourseDirectory:
        path = str(root / "gradebook.db").replace("%", "%25").replace("?", "%3F")
        config.CourseDirectory.db_url = f"sqlite:///{path}"


def make_step(kind: type[BaseConverter], course: Course, coursedir: CourseDirectory) -> BaseConverter:
    """Return one of nbgrader's converters, which replaces what an earlier run wrote.

    Args:
        kind: The converter's class, such as `Autograde`.
        course: The course.
        coursedir: From `course_directory`.
    """
    log = logging.Logger("nbgrader", logging.INFO)  # not in the tree of loggers: nothing else hears it
    log.addHandler(_Collect())
    step = kind(coursedir=coursedir, config=deepcopy(course.nbgrader), log=log)
    step.force = True
    return step


def run_step(step: BaseConverter) -> None:
    """Run a converter from `make_step`.

    Raises:
        StepFailed: If nbgrader reports an error.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # nbgrader's use of SQLAlchemy and nbconvert warns a lot
            step.start()
    except NbGraderException as error:
        raise StepFailed(_reason(step, error)) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise StepFailed(f"{type(error).__name__}: {error}") from error


def run_staged(step: BaseConverter, output: str, staging: Path) -> bool:
    """Run a converter for one student so that its output folder appears whole or not at all.

    Args:
        step: From `make_step`, for one student and one assignment.
        output: Trait of the course directory that names where the step writes, such as `feedback_directory`.
        staging: An empty folder in the course folder.

    Returns:
        Whether the step wrote anything.

    Raises:
        StepFailed: If nbgrader reports an error, or the folder cannot be put in its place.
    """
    coursedir = step.coursedir
    final, configured = output_folder(coursedir, output), getattr(coursedir, output)
    setattr(coursedir, output, os.path.relpath(staging, coursedir.root))
    try:
        run_step(step)
        made = output_folder(coursedir, output)
        if made.is_dir():
            with replaced_folder(final) as new:
                shutil.move(made, new)  # copies, should this be another file system
            return True
    except OSError as error:
        raise StepFailed(f"{type(error).__name__}: {error}") from error
    finally:
        setattr(coursedir, output, configured)
    return False


def output_folder(coursedir: CourseDirectory, output: str) -> Path:
    """Return where a step writes for the student and the assignment of this course directory."""
    return Path(coursedir.format_path(getattr(coursedir, output), coursedir.student_id, coursedir.assignment_id))


def _make_alembic_known() -> None:
    """Add this interpreter's folder to PATH: nbgrader starts `alembic` by name to make a new gradebook."""
    if shutil.which("alembic") is None:
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])


class _Collect(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _reason(step: BaseConverter, error: Exception) -> str:
    messages: list[str] = [text for handler in step.log.handlers for text in handler.messages]
    traces = [text.strip() for text in messages if text.startswith("Traceback")]
    if traces:
        lines = traces[0].splitlines()
        named = [line for line in lines if re.match(r"[A-Za-z_][\w.]*: ", line)]  # SQLAlchemy adds lines of advice
        return (named or lines)[-1]
    return messages[0] if messages else str(error)
