"""One assignment: its folders, its tasks and their points, and how tasks build on each other.

Points stand in one place, the notebook's cell metadata; how tasks hang together, and their titles, stand in
`autograder/checks/<assignment>/tasks.toml`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.errors import AssignmentError, UsageError
from autograder.suggestions import did_you_mean
from autograder.text import id_in_words

MODULE = "utilities"
SELF_CHECK = "check.py"
"""The program by which students run the public tests themselves; grading does not use it."""
PLAN_KEYS = ("title", "provides", "answers", "builds_on", "preload")
"""What `tasks.toml` may say of a task."""


@dataclass(frozen=True)
class Task:
    """One automatic task.

    Attributes:
        id: nbgrader's grade_id and the check file's name.
        title: What people read in place of the id.
        points: From the notebook's cell metadata.
        provides: Public names of the student's module that this task is about.
        answers: grade_ids of the notebook's solution cells that this task is about.
        builds_on: Tasks whose parts this one uses.
        preload: Modules that it needs and that take long to import.
        checks: The file with its hidden checks.
    """

    id: str
    title: str
    points: float
    provides: tuple[str, ...]
    answers: tuple[str, ...]
    builds_on: tuple[str, ...]
    checks: Path
    preload: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """The folders and the automatic tasks of one assignment, in the notebook's order.

    Attributes:
        title: What people read in place of the name: the notebook's first heading.
    """

    name: str
    root: Path
    tasks: tuple[Task, ...]
    title: str = ""

    @property
    def solution_dir(self) -> Path:
        """The instructor's truth: percent notebook and solved module."""
        return self.root / "solutions" / self.name

    @property
    def source_dir(self) -> Path:
        """What `build` makes and nbgrader reads."""
        return self.root / "source" / self.name

    @property
    def release_dir(self) -> Path:
        """What students get."""
        return self.root / "release" / self.name

    @property
    def given_modules(self) -> tuple[Path, ...]:
        """The built modules that students get complete: every Python file there but their own and the self-check."""
        own = (f"{MODULE}.py", SELF_CHECK)
        return tuple(path for path in sorted(self.source_dir.glob("*.py")) if path.name not in own)

    @property
    def checks_dir(self) -> Path:
        """The hidden checks."""
        return self.root / "autograder" / "checks" / self.name

    @property
    def notebook_path(self) -> Path:
        """The built nbgrader source notebook."""
        return self.source_dir / f"{self.name}.ipynb"

    @property
    def max_score(self) -> float:
        """Points of all automatic tasks together."""
        return sum(task.points for task in self.tasks)

    @property
    def titles(self) -> dict[str, str]:
        """The title of each task by its id."""
        return {task.id: task.title for task in self.tasks}

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that tasks need and that take long to import."""
        return tuple(dict.fromkeys(module for task in self.tasks for module in task.preload))

    def answers_for(self, task: Task) -> frozenset[str]:
        """Return the notebook's solution cells that a task needs: its own and those it builds on."""
        before = (self.task(name).answers for name in task.builds_on)
        return frozenset(task.answers).union(*before)

    def task(self, task_id: str) -> Task:
        """Return the task with this id.

        Raises:
            UsageError: If there is none.
        """
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise UsageError(
            f"{self.name} has no task {task_id!r}.", did_you_mean(task_id, [task.id for task in self.tasks])
        )


def load_assignment(root: Path, name: str) -> Assignment:
    """Read an assignment from its built notebook and its checks folder.

    Raises:
        UsageError: If there is no such assignment.
        AssignmentError: If a part is missing, or tasks and check files do not match one to one.
    """
    check_graded_here(root, name)
    notebook = root / "source" / name / f"{name}.ipynb"
    if not notebook.is_file():
        check_assignment(root, name)
        raise AssignmentError(f"No built notebook {notebook}.", f"Run: python -m autograder build --assignment {name}")
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    points = _automatic_points(cells)
    checks_dir = root / "autograder" / "checks" / name
    plan = _read_plan(checks_dir / "tasks.toml")
    _check_match(name, set(points), set(plan), checks_dir)
    tasks = tuple(_task(task_id, worth, plan[task_id], checks_dir) for task_id, worth in points.items())
    return Assignment(name=name, root=root, tasks=tasks, title=_heading(cells) or name)


def read_titles(root: Path, name: str) -> dict[str, str]:
    """Return the title of each task of an assignment by its id; those without one are left out.

    Raises:
        AssignmentError: If the assignment's tasks.toml is missing or cannot be read.
    """
    plan = _read_plan(root / "autograder" / "checks" / name / "tasks.toml")
    return {task_id: str(task["title"]) for task_id, task in plan.items() if "title" in task}


def is_plain(root: Path, name: str) -> bool:
    """Return whether an assignment is nbgrader's alone: made in `source/` by hand, without hidden checks."""
    has_parts = (root / "solutions" / name).is_dir() or (root / "autograder" / "checks" / name).is_dir()
    return not has_parts and (root / "source" / name).is_dir()


def check_graded_here(root: Path, name: str) -> None:
    """Refuse an assignment that nbgrader alone grades, and names that nbgrader cannot take.

    Raises:
        UsageError: With what to do.
    """
    if set(name) & set("*?[]+/\\") or name != name.strip() or name.startswith("."):
        problem = f"{name!r} cannot be the name of an assignment: nbgrader reads it as a pattern, or as another folder."
        raise UsageError(problem, "Rename its folders; spaces, umlauts, quotes, # and % are fine.")
    if is_plain(root, name):
        problem = f"{name} is a plain nbgrader assignment: there are no hidden checks in autograder/checks/{name}."
        raise UsageError(problem, f"nbgrader itself releases and grades it, such as with: nbgrader autograde {name}")


def read_title(root: Path, name: str) -> str:
    """Return what people read in place of an assignment's name: its notebook's first heading, or else the name."""
    notebook = root / "source" / name / f"{name}.ipynb"
    cells = json.loads(notebook.read_text("utf-8"))["cells"] if notebook.is_file() else []
    return _heading(cells) or name


def given_texts(root: Path, name: str) -> list[str]:
    """Return the texts of an assignment's cells as students get them; empty if it is not released here."""
    notebook = root / "release" / name / f"{name}.ipynb"
    cells = json.loads(notebook.read_text("utf-8"))["cells"] if notebook.is_file() else []
    return ["".join(cell["source"]) for cell in cells]


def _heading(cells: Iterable[dict[str, Any]]) -> str:
    sources = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    headings = (found[1].strip() for source in sources if (found := re.search(r"^# +(.+)$", source, re.MULTILINE)))
    return next(headings, "")


def check_assignment(root: Path, name: str) -> None:
    """Refuse the name of an assignment that is not there.

    Raises:
        UsageError: With the nearest one that is.
    """
    if not (root / "solutions" / name).is_dir():
        known = sorted(path.name for path in root.glob("solutions/*") if path.is_dir())
        raise UsageError(
            f"No assignment {name!r}: there is no folder {root / 'solutions' / name}.", did_you_mean(name, known)
        )


def _automatic_points(cells: Iterable[dict[str, Any]]) -> dict[str, float]:
    marked = (cell.get("metadata", {}).get("nbgrader", {}) for cell in cells)
    return {
        cell["grade_id"]: float(cell["points"])
        for cell in marked
        if cell.get("grade") and not cell.get("solution") and not cell.get("task")
    }


def _read_plan(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise AssignmentError(
            f"No {path}, which lists the tasks of the assignment.", "docs/adding_a_task.md says how it is written."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise AssignmentError(f"{path} cannot be read as TOML: {error}.", "Fix that line.") from error


def _check_match(name: str, notebook: set[str], plan: set[str], checks_dir: Path) -> None:
    files = {path.stem.removeprefix("test_") for path in checks_dir.glob("test_*.py")}
    for task_id in sorted(notebook | plan | files):
        places = (
            (f"the notebook source/{name}/{name}.ipynb", notebook),
            (f"{checks_dir.name}/tasks.toml", plan),
            (f"a file {checks_dir.name}/test_{task_id}.py", files),
        )
        missing = [place for place, known in places if task_id not in known]
        if missing:
            raise AssignmentError(
                f"Task {task_id!r} is not in {' and not in '.join(missing)}.",
                "The same id must stand in all three places: add it there, or take it out of the others.",
            )


def _task(task_id: str, points: float, plan: dict[str, Any], checks_dir: Path) -> Task:
    unknown = sorted(set(plan) - set(PLAN_KEYS))
    if unknown:
        problem = f"{checks_dir / 'tasks.toml'}, [{task_id}]: unknown key {unknown[0]!r}."
        raise AssignmentError(problem, did_you_mean(unknown[0], PLAN_KEYS))
    return Task(
        id=task_id,
        title=str(plan.get("title") or id_in_words(task_id)),
        points=points,
        provides=tuple(plan.get("provides", ())),
        answers=tuple(plan.get("answers", ())),
        builds_on=tuple(plan.get("builds_on", ())),
        checks=checks_dir / f"test_{task_id}.py",
        preload=tuple(plan.get("preload", ())),
    )
