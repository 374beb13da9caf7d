"""Read `course_config.py` once into a frozen record.

The same file configures nbgrader; our own settings stand under `c.Autograder`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.errors import ConfigError

CONFIG_NAME = "course_config.py"
LAYERS = ("namespaces", "landlock", "seccomp", "rlimits", "memory")
BOUNDS_OF_MEMORY = ("cgroup", "watchdog")
"""What `memory` stands for: the first that the machine has. A course may also name one of them."""


@dataclass(frozen=True)
class CourseConfig:
    """The instructor's settings; every default here is documented in `course_config.py`.

    Attributes:
        root: The course folder, where `course_config.py` stands.
        assignment: The assignment a command means when none is named.
        sandbox: `required` (grade only behind every required layer) or `none`.
        required_layers: Layers of confinement without which grading stops.
        device: `auto`, `cpu` or `gpu`.
        jobs: Submissions graded at once; 0 means one per two CPU cores' worth of memory.
        request_seconds: Wall-clock limit of one question to a submission.
        load_seconds: Wall-clock limit for importing a submission.
        training_seconds: Wall-clock limit of one training run.
        submission_seconds: Wall-clock limit of one whole submission.
        memory_mib: Memory a student process may add to the zygote's.
        scratch_mib: Size of the folder a student process may write to.
        scratch_files: Files and folders it may make there.
        max_processes: Processes and threads of one student process.
        max_descriptors: Files one student process may have open.
        max_reply_mib: Largest answer of a student process.
        max_submission_mib: Largest submission that is read.
        max_submission_files: Most files of a submission that are read.
    """

    root: Path
    assignment: str = "vit"
    sandbox: str = "required"
    required_layers: tuple[str, ...] = LAYERS
    device: str = "auto"
    jobs: int = 0
    request_seconds: float = 20.0
    load_seconds: float = 30.0
    training_seconds: float = 120.0
    submission_seconds: float = 300.0
    memory_mib: int = 6144
    scratch_mib: int = 512
    scratch_files: int = 20_000
    max_processes: int = 512
    max_descriptors: int = 1024
    max_reply_mib: int = 64
    max_submission_mib: int = 64
    max_submission_files: int = 500

    @property
    def state_dir(self) -> Path:
        """Folder for results and the course secret; not part of the course's sources."""
        return self.root / ".autograder"


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


def load_config(root: Path) -> CourseConfig:
    """Read the course's settings.

    Raises:
        ConfigError: If the file cannot be run, or a setting is unknown or of the wrong type.
    """
    return _from_section(root, load_traitlets(root).get("Autograder", Config()))


def load_traitlets(root: Path) -> Config:
    """Return the whole of `course_config.py` as nbgrader itself would read it.

    Raises:
        ConfigError: If the file cannot be run.
    """
    if not (root / CONFIG_NAME).is_file():
        raise ConfigError(f"No {CONFIG_NAME} in {root}.", "Every course folder has one.")
    try:
        config: Config = PyFileConfigLoader(CONFIG_NAME, path=str(root)).load_config()
    except Exception as error:  # the file is Python: anything can go wrong in it
        raise ConfigError(
            f"{root / CONFIG_NAME} stopped with {type(error).__name__}: {error}.", "Fix that line."
        ) from error
    return config


def _from_section(root: Path, section: Config) -> CourseConfig:
    known = {field.name: field for field in fields(CourseConfig) if field.name != "root"}
    values: dict[str, Any] = {}
    for key, value in section.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise ConfigError(f"Unknown setting c.Autograder.{key}.", f"Did you mean {near[0]}?")
        values[key] = _checked(key, value, known[key].default)
    config = CourseConfig(root=root, **values)
    _check_choices(config)
    return config


def _checked(key: str, value: object, default: object) -> object:
    if isinstance(default, tuple):
        if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError(f"c.Autograder.{key} must be a list of names, got {value!r}.")
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        wanted = type(default).__name__
        raise ConfigError(f"c.Autograder.{key} must be of type {wanted}, got {value!r}.")
    if isinstance(value, (int, float)) and (value < 0 or (value == 0 and key != "jobs")):
        raise ConfigError(f"c.Autograder.{key} must be above zero, got {value!r}.")
    return value


def _check_choices(config: CourseConfig) -> None:
    for key, value, allowed in (
        ("sandbox", config.sandbox, ("required", "none")),
        ("device", config.device, ("auto", "cpu", "gpu")),
    ):
        if value not in allowed:
            raise ConfigError(f"c.Autograder.{key} must be one of {', '.join(allowed)}, got {value!r}.")
    for layer in config.required_layers:
        if layer not in (*LAYERS, *BOUNDS_OF_MEMORY):
            known = ", ".join((*LAYERS, *BOUNDS_OF_MEMORY))
            raise ConfigError(f"c.Autograder.required_layers: no layer {layer!r}.", f"Known: {known}.")
