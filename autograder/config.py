"""The instructor's settings, `c.Autograder` in `course_config.py`, as a frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from autograder.errors import ConfigError
from autograder.suggestions import did_you_mean

LAYERS = ("namespaces", "landlock", "seccomp", "rlimits", "memory")
BOUNDS_OF_MEMORY = ("cgroup", "watchdog")
"""What `memory` stands for: the first that the machine has. A course may also name one of them."""

ZONE_REMEDY = "Write it like Europe/Berlin or UTC."
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Amount = Annotated[int, msgspec.Meta(gt=0)]


@dataclass(frozen=True)
class Settings:
    """The instructor's settings; every default here is documented in `course_config.py`.

    Attributes:
        assignment: The assignment a command means when none is named.
        timezone: Zone of dates that name none, and in which dates are shown.
        sandbox: `required` (grade only behind every required layer) or `none`.
        required_layers: Layers of confinement without which grading stops.
        device: `auto`, `cpu` or `gpu`.
        jobs: Submissions graded at once; 0 means as many as memory and processors allow.
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
        max_submission_mib: Largest module and notebook that are read, and most of other files together.
        max_submission_files: Most files of a submission that are read.
    """

    assignment: str = "vit"
    timezone: str = "UTC"
    sandbox: str = "required"
    required_layers: tuple[str, ...] = LAYERS
    device: str = "auto"
    jobs: Annotated[int, msgspec.Meta(ge=0)] = 0
    request_seconds: Seconds = 20.0
    load_seconds: Seconds = 30.0
    training_seconds: Seconds = 40.0
    submission_seconds: Seconds = 300.0
    memory_mib: Amount = 6144
    scratch_mib: Amount = 512
    scratch_files: Amount = 20_000
    max_processes: Amount = 512
    max_descriptors: Amount = 1024
    max_reply_mib: Amount = 64
    max_submission_mib: Amount = 64
    max_submission_files: Amount = 500

    @property
    def zone(self) -> ZoneInfo:
        """The zone of dates."""
        return ZoneInfo(self.timezone)


CHOICES = {
    "sandbox": ("required", "none"),
    "device": ("auto", "cpu", "gpu"),
    "required_layers": (*LAYERS, *BOUNDS_OF_MEMORY),
}
"""Settings whose values are words from a list."""


def settings_from(section: Mapping[str, object]) -> Settings:
    """Return the settings that a course gives, with defaults for the rest.

    Args:
        section: `c.Autograder`: setting to value.

    Raises:
        ConfigError: If a setting is unknown, or its value has the wrong type or is out of range.
    """
    types = get_type_hints(Settings, include_extras=True)
    values = {}
    for key, value in section.items():
        if key not in types:
            raise ConfigError(f"Unknown setting c.Autograder.{key}.", did_you_mean(key, types))
        try:
            values[key] = msgspec.convert(value, types[key])
        except msgspec.ValidationError as error:
            raise ConfigError(f"c.Autograder.{key} cannot be {value!r}.", f"{error}.") from error
        _check_choice(key, values[key])
    if "timezone" in values and find_zone(str(values["timezone"])) is None:
        raise ConfigError(f"c.Autograder.timezone: there is no zone {values['timezone']!r}.", ZONE_REMEDY)
    return Settings(**values)


def find_zone(name: str) -> ZoneInfo | None:
    """Return the time zone of this name; None if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _check_choice(key: str, value: str | tuple[str, ...]) -> None:
    """Refuse a word that is not one of those a setting can have."""
    if key in CHOICES:
        for word in (value,) if isinstance(value, str) else value:
            if word not in CHOICES[key]:
                raise ConfigError(
                    f"c.Autograder.{key}: there is no {word!r}.", f"Choose from: {', '.join(CHOICES[key])}."
                )
