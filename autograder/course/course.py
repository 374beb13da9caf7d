"""The course: its folder, and all that `course_config.py` says, read once for each command."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.config import Settings, settings_from
from autograder.course.assignment import Assignment, load_assignment
from autograder.errors import ConfigError

CONFIG_NAME = "course_config.py"


@dataclass(frozen=True)
class Course:
    """A course folder with its settings.

    Attributes:
        root: The course folder, where `course_config.py` stands.
        settings: The autograder's settings.
        nbgrader: The whole of `course_config.py`, as nbgrader takes it. Two courses that differ only here are equal:
            grading does not depend on it.
    """

    root: Path
    settings: Settings = field(default_factory=Settings)
    nbgrader: Config = field(default_factory=Config, compare=False, repr=False)

    @property
    def state_dir(self) -> Path:
        """Folder for results and the course secret; not part of the course's sources."""
        return self.root / ".autograder"

    def assignment(self, name: str) -> Assignment:
        """Read one of the course's assignments.

        Raises:
            UsageError: If there is no such assignment.
            AssignmentError: If a part of it is missing.
        """
        return load_assignment(self.root, name)

    def for_workers(self) -> Course:
        """Return what graders in other processes need: nbgrader's settings may hold objects that cannot be sent."""
        return replace(self, nbgrader=Config())


def find_root(start: Path) -> Path:
    """Return the nearest folder at or above `start` that holds `course_config.py`.

    Raises:
        ConfigError: If there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise ConfigError(
        f"No {CONFIG_NAME} in {start} or above it.",
        "Run the command inside the course folder, or name it with --course.",
    )


def read_course(root: Path) -> Course:
    """Run `course_config.py` and return the course it describes.

    Raises:
        ConfigError: If the file cannot be run, or a setting is unknown or of the wrong type.
    """
    if not (root / CONFIG_NAME).is_file():
        raise ConfigError(f"No {CONFIG_NAME} in {root}.", "Every course folder has one.")
    import_beside_settings(root)
    try:
        config: Config = PyFileConfigLoader(CONFIG_NAME, path=str(root)).load_config()
    except Exception as error:  # the file is Python: anything can go wrong in it
        raise ConfigError(
            f"{root / CONFIG_NAME} stopped with {type(error).__name__}: {error}.", "Fix that line."
        ) from error
    return course_from(root, config)


def import_beside_settings(root: Path) -> None:
    """Let modules beside `course_config.py` be imported, such as a late policy; they hide none of the libraries."""
    folder = str(root.resolve())
    if folder not in sys.path:
        sys.path.append(folder)


def course_from(root: Path, config: Config) -> Course:
    """Return the course that an already loaded configuration describes, such as nbgrader's own.

    Raises:
        ConfigError: If one of the autograder's settings is unknown or of the wrong type.
    """
    return Course(root, settings_from(config.get("Autograder", {})), config)


def course_secret(course: Course) -> bytes:
    """Return the secret that hidden inputs are drawn from, so that nobody can compute them; made on first use."""
    path = course.state_dir / "secret"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret-") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was faster: its secret is the course's
                os.link(file.name, path)
    return path.read_bytes()
