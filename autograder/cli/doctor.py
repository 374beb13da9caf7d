"""Find out what this machine can do: system, confinement, GPU, libraries, course, gradebook. Any may be missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import msgspec
import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from autograder import __version__
from autograder.config import Settings
from autograder.course.course import CONFIG_NAME, Course, find_root, read_course
from autograder.errors import AutograderError, ConfigError, GpuUnavailable, SandboxUnavailable
from autograder.sandbox.policy import refuse_exposed

DISTRIBUTION = "vit-course-autograder"
SHOWN_LIBRARIES = (
    "tensorflow",
    "tf-keras",
    "numpy",
    "nbgrader",
    "nbconvert",
    "transformers",
    "carbontracker",
    "pytest",
)
"""Libraries that are always listed; others that are needed are listed only if something is wrong with them."""
OLDEST_PYTHON = (3, 11)
CPUS = Path("/sys/devices/system/cpu")
PREPARATION = "prepare_nbgrader"
"""What nbgrader_config.py calls."""
LEAST_FREE_GIB = 1.0
"""Free space below which a class may fill the disk."""
GPU_REMEDY = (
    'Submissions would run on the CPU. Does nvidia-smi work? Try docs/gpu.md, or set c.Autograder.device = "cpu" in '
    "course_config.py."
)


class Finding(msgspec.Struct, frozen=True):
    """What was found out about one thing.

    Attributes:
        name: What it is, such as `sandbox: landlock`.
        good: Whether grading can rely on it.
        found: What was seen.
        remedy: What to do where it is not good.
        needed: Whether the course's settings demand it.
    """

    name: str
    good: bool
    found: str
    remedy: str = ""
    needed: bool = True


def examine(start: Path, assignment: str | None = None) -> Iterator[Finding]:
    """Yield one finding after another; changes nothing.

    Args:
        start: The course folder, or one in it. Without a course, what needs one is left out.
        assignment: By default the one that the settings name.
    """
    yield Finding("autograder", True, f"{__version__} in {Path(__file__).parents[1]}, run by {sys.executable}")
    yield _system()
    yield _disk(start)
    course, settings = _course(start)
    yield settings
    yield from _confinement(course.settings)
    yield from _exposed(course)
    yield from _libraries()
    if settings.good:
        name = assignment or course.settings.assignment
        yield _assignment(course, name)
        yield _gradebook(course, name)
        yield from _nbgraders_own(course)
        yield from _plugins(course)


def _system() -> Finding:
    found = f"{platform.system()} {platform.release()}{_distribution()}, {platform.machine()}, "
    found += f"Python {platform.python_version()}, {os.cpu_count()} processors"
    wanted = [] if _on_linux() else ["Linux (a Linux machine, a virtual machine, or WSL 2 on Windows)"]
    wanted += [] if sys.version_info >= OLDEST_PYTHON else ["Python 3.11 or later"]
    return Finding("system", not wanted, found, f"Grading needs {' and '.join(wanted)}." if wanted else "")


def _on_linux() -> bool:
    return platform.system() == "Linux"


def _distribution() -> str:
    with suppress(OSError, AttributeError):
        return f" ({platform.freedesktop_os_release()['PRETTY_NAME']})"
    return ""


def _disk(start: Path) -> Finding:
    folder = start.resolve()
    try:
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Finding("disk", False, f"{error}.", "Name the course folder with --course.")
    good = free >= LEAST_FREE_GIB and os.access(folder, os.W_OK)
    found = f"{free:.1f} GiB free in {folder}" + ("" if os.access(folder, os.W_OK) else ", which cannot be written")
    return Finding("disk", good, found, "" if good else "Make room, or make the folder writable.", needed=False)


def _course(start: Path) -> tuple[Course, Finding]:
    """Return the course; where its settings cannot be read, the folder with the default ones."""
    try:
        course = read_course(find_root(start))
    except ConfigError as error:
        return Course(root=start.resolve()), Finding("settings", False, error.problem, error.remedy)
    return course, Finding("settings", True, f"{course.root / CONFIG_NAME}, assignment {course.settings.assignment}")


def _confinement(settings: Settings) -> Iterator[Finding]:
    """Yield what running student code here depends on: layers, memory, GPU."""
    if not _on_linux():
        found = f"not tried: namespaces, Landlock and seccomp are features of Linux; this is {platform.system()}"
        remedy = "Here you can build, and read reports and feedback; check, grade, release and audit need Linux."
        yield Finding("sandbox", False, found, remedy)
        return
    from autograder.batch.local_workers import default_jobs

    if settings.sandbox == "none":
        remedy = "Take c.Autograder.sandbox out of course_config.py."
        yield Finding("sandbox", False, "switched off: student code runs unconfined", remedy, needed=False)
    yield from _layers(settings)
    yield _timing()
    memory = psutil.virtual_memory()
    found = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free: "
    found += f"{default_jobs()} submissions at once fit processors and memory"
    found += f"; course_config.py says {settings.jobs}" if settings.jobs else ""
    yield Finding("memory", True, found)
    yield _gpu(settings)


def _exposed(course: Course) -> Iterator[Finding]:
    """Yield that submissions could read the course folder, if they could."""
    try:
        refuse_exposed(course.root)
    except SandboxUnavailable as error:
        yield Finding("course folder", False, error.reason, error.remedy, course.settings.sandbox == "required")


def _timing() -> Finding:
    """Say what makes the time that a submission takes depend on what runs beside it."""
    unfair = {
        "two threads share a core (SMT)": _read(CPUS / "smt/active") == "1",
        "the clock's rate varies": _read(CPUS / "cpu0/cpufreq/scaling_governor") not in ("", "performance"),
        "memory may be swapped out": len(_read(Path("/proc/swaps")).splitlines()) > 1,
    }
    found = "; ".join(what for what, holds in unfair.items() if holds) or "nothing found that makes it vary"
    return Finding("timing", True, f"{found} (limits of time are generous: see docs/security.md)", needed=False)


def _read(path: Path) -> str:
    """Return a file of the kernel's, stripped; empty if this machine has none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _gpu(settings: Settings) -> Finding:
    """Use a GPU behind the layers that the course requires: one of them may be in the way."""
    from autograder.grading.gpu import gpu_present
    from autograder.grading.student_process import layers_to_put_up
    from autograder.sandbox.try_layer import layer_in_the_way, try_gpu

    needed = settings.device == "gpu"
    if not gpu_present():
        remedy = 'Set c.Autograder.device = "auto" in course_config.py.' if needed else ""
        return Finding("gpu", False, "none: training runs on the CPU", remedy, needed)
    if settings.device == "cpu":
        return Finding("gpu", True, 'NVIDIA device, which device = "cpu" leaves alone', needed=False)
    try:
        layers = layers_to_put_up(settings)
        try_gpu(layers)
    except SandboxUnavailable as error:
        problem = error.problem
    except GpuUnavailable as error:
        problem = f"{error.problem}; {layer_in_the_way(layers)}"
    else:
        return Finding("gpu", True, "NVIDIA device; it computes in a student process", needed=needed)
    return Finding("gpu", False, f"NVIDIA device, but no student process can use it: {problem}", GPU_REMEDY, needed)


def _layers(settings: Settings) -> Iterator[Finding]:
    """Try each layer alone, in a child process; of the two bounds of memory the course needs only one."""
    from autograder.sandbox.cgroup import delegated
    from autograder.sandbox.try_layer import FOUND, try_layer

    required = settings.required_layers if settings.sandbox == "required" else ()
    bounded = "cgroup" if delegated() else "watchdog"
    for layer, shown in FOUND.items():
        needed = layer in required or ("memory" in required and layer == bounded)
        try:
            try_layer(layer)
            yield Finding(f"sandbox: {layer}", True, shown(), needed=needed)
        except SandboxUnavailable as error:
            yield Finding(f"sandbox: {layer}", False, error.reason, error.remedy, needed)


def _libraries() -> Iterator[Finding]:
    """Yield the libraries that matter most, and any other that is missing or too old."""
    needed = _needed()
    for name in dict.fromkeys([*SHOWN_LIBRARIES, *needed]):
        finding = _library(name, needed.get(name, SpecifierSet()))
        if name in SHOWN_LIBRARIES or not finding.good:
            yield finding


def _needed() -> dict[str, SpecifierSet]:
    """Return the libraries that this package requires here, and their versions; empty if it is not installed."""
    try:
        wanted = [Requirement(text) for text in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:
        return {}
    return {
        requirement.name: requirement.specifier
        for requirement in wanted
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }


def _library(name: str, wanted: SpecifierSet) -> Finding:
    remedy = "Run: make install"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, False, "not installed", remedy)
    if not wanted.contains(found, prereleases=True):
        return Finding(name, False, f"{found}, and {wanted} is needed", remedy)
    return Finding(name, True, found)


def _assignment(course: Course, name: str) -> Finding:
    try:
        assignment = course.assignment(name)
    except AutograderError as error:
        return Finding("assignment", False, error.problem, error.remedy, needed=False)
    tasks = f"{name}: {len(assignment.tasks)} automatic tasks, {assignment.max_score:g} points"
    if not (assignment.release_dir / f"{name}.ipynb").is_file():
        remedy = "Run: python -m autograder release"
        return Finding("assignment", False, f"{tasks}; built, not released", remedy, needed=False)
    return Finding("assignment", True, f"{tasks}; built and released")


def _gradebook(course: Course, name: str) -> Finding:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from autograder.gradebook.database import UPGRADE, is_outdated
    from autograder.gradebook.nbgrader_steps import course_directory

    remedy = "Look at c.CourseDirectory.db_url in course_config.py."
    try:
        url = make_url(course_directory(course, name).db_url)
        shown = url.render_as_string(hide_password=True)
        if url.drivername.startswith("sqlite") and not (url.database and Path(url.database).exists()):
            return Finding("gradebook", True, f"{shown} (made by the first release)")
        with create_engine(url).connect() as book:
            students = book.exec_driver_sql("select count(*) from student").scalar()
        if is_outdated(url):
            return Finding("gradebook", False, f"{shown}, of another version of nbgrader", UPGRADE)
    except (SQLAlchemyError, ImportError) as error:
        return Finding("gradebook", False, str(error).splitlines()[0], remedy)
    return Finding("gradebook", True, f"{shown}, {students} students")


def _nbgraders_own(course: Course) -> Iterator[Finding]:
    """Yield whether nbgrader's own commands and formgrader read times and paths as ours do."""
    path = course.root / "nbgrader_config.py"
    if not path.is_file() or PREPARATION not in path.read_text("utf-8", "replace"):
        found = f"{path.name} does not call {PREPARATION}: nbgrader itself takes due dates without a zone for UTC"
        remedy = "Put this package's nbgrader_config.py into the course folder."
        yield Finding("nbgrader_config.py", False, found, remedy, needed=False)


def _plugins(course: Course) -> Iterator[Finding]:
    """Try the late policy, and import all else that course_config.py names for nbgrader to import."""
    from autograder.deadlines.late_policy import SETTING, late_policy

    late = course.nbgrader.get("AssignLatePenalties", {}).get("plugin_class")
    try:
        late_policy(course.nbgrader).try_out()
        yield Finding("late policy", True, str(late) if late else f"none; {SETTING} names one")
    except ConfigError as error:
        yield Finding("late policy", False, error.problem, error.remedy)
    for name in dict.fromkeys(_imported_by_nbgrader(course.nbgrader)):
        try:
            import_item(name)
        except Exception as error:  # the instructor's own code, or no module of that name
            found = f"{name} cannot be imported: {type(error).__name__}: {error}"
            yield Finding("plugin", False, found, "Fix it, or its name in course_config.py.")


def _imported_by_nbgrader(config: Config) -> Iterator[str]:
    """Yield the dotted names of classes and functions in the settings."""
    for section in config.values():
        for setting, value in section.items() if isinstance(section, Mapping) else ():
            if setting.endswith(("_class", "_hook", "preprocessors", "filters")):
                named = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
                yield from (name for name in named if isinstance(name, str) and "." in name)
