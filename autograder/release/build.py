"""Build `source/` from `solutions/`: the notebook, the module as stubs, and all else as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autograder.course.assignment import MODULE, SELF_CHECK, check_assignment, check_graded_here
from autograder.course.notebook import build_notebook
from autograder.course.solution_regions import stub_module
from autograder.errors import AssignmentError
from autograder.files import write_whole
from autograder.release.requirements import imported_modules, student_requirements

REQUIREMENTS = "requirements.txt"
LOCK = "requirements.lock"


def build(root: Path, name: str) -> list[Path]:
    """Write `source/<name>/` from `solutions/<name>/`, and remove all else from it but hidden files.

    Modules beside the notebook and the solved module are given ones, which one of these or another given one must
    import. Where the course has a requirements.lock, a requirements.txt pins what the lab imports.

    Returns:
        The files, in order.

    Raises:
        AssignmentError: If the solutions cannot be built; nothing is written then.
    """
    target = root / "source" / name
    files = _built_files(root, name)
    for path in _visible_files(target):
        if path.relative_to(target).as_posix() not in files:
            path.unlink()
    for file, content in files.items():
        write_whole(target / file, content)
        (target / file).chmod(0o644)
    return [target / file for file in files]


def stale_files(root: Path, name: str) -> list[str]:
    """Return how `source/<name>/` differs from a fresh build, one sentence each; empty if it does not."""
    target = root / "source" / name
    files = _built_files(root, name)
    there = {path.relative_to(target).as_posix(): path.read_bytes() for path in _visible_files(target)}
    problems = [f"source/{name}/{file} is missing." for file in files if file not in there]
    problems += [f"source/{name}/{file} is not from solutions/{name}." for file in there if file not in files]
    outdated = [file for file in files if file in there and there[file] != files[file]]
    return problems + [f"source/{name}/{file} is out of date." for file in outdated]


def _built_files(root: Path, name: str) -> dict[str, bytes]:
    """Return the content of each file of a build, by its name in `source/<name>/`."""
    check_graded_here(root, name)
    folder = root / "solutions" / name
    script, module = folder / f"{name}.py", folder / f"{MODULE}.py"
    for path in (script, module):
        if not path.is_file():
            check_assignment(root, name)
            raise AssignmentError(f"No {path}.", "An assignment has a notebook script and a solved module.")
    sources = _imported_sources(folder, (script, module))
    files = {
        f"{name}.ipynb": build_notebook(sources[name]),
        f"{MODULE}.py": stub_module(sources[MODULE]).encode(),
    }
    for path in _visible_files(folder):
        if path not in (script, module):
            _check_given(path, folder, sources)
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    if (root / LOCK).is_file():
        files[REQUIREMENTS] = student_requirements((root / LOCK).read_text("utf-8"), sources).encode()
    return files


def _imported_sources(folder: Path, start: Sequence[Path]) -> dict[str, str]:
    """Return the texts of these files and of the modules beside them that they import, directly or not, by name."""
    sources: dict[str, str] = {}
    waiting = list(start)
    while waiting:
        path = waiting.pop()
        if path.stem not in sources and path.is_file():
            sources[path.stem] = path.read_text("utf-8")
            waiting += (folder / f"{module}.py" for module in imported_modules(sources[path.stem]))
    return sources


def _check_given(path: Path, folder: Path, sources: dict[str, str]) -> None:
    """Refuse a Python file that nothing imports: nbgrader would copy it into the release unchanged."""
    file = path.relative_to(folder).as_posix()
    is_imported = path.parent == folder and path.stem in sources
    if path.suffix == ".py" and file != SELF_CHECK and not is_imported:
        raise AssignmentError(
            f"Neither the notebook nor the module imports solutions/{folder.name}/{file}, so students must not get it.",
            f"Import it in {MODULE}.py if it is a module that students are given; else put it elsewhere.",
        )


def _visible_files(folder: Path) -> list[Path]:
    """Return all files below a folder, but for hidden ones and compiled modules."""

    def is_hidden(path: Path) -> bool:
        parts = path.relative_to(folder).parts
        return "__pycache__" in parts or any(part.startswith(".") for part in parts)

    return sorted(path for path in folder.rglob("*") if path.is_file() and not is_hidden(path))
