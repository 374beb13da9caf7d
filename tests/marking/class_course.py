"""A course whose class has handed in and is graded, made in a moment: rows of nbgrader's tables, graded notebooks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy
from nbgrader.api import Base, Gradebook

from autograder.course.course import Course, read_course
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.marking.desk import Desk, open_desk
from tests.marking.made_answers import UNTOUCHED, MadeAnswer
from tests.tiny import REPOSITORY

QUESTIONS = tuple(f"question_{number:02}" for number in range(1, 15))
TASKS = ("attention", "mlp")
Answers = Mapping[str, Mapping[str, str]]
_TABLES = Base.metadata.tables


def by_student(made: Sequence[MadeAnswer]) -> dict[str, dict[str, str]]:
    """Return the texts of a made class by student and question."""
    answers: dict[str, dict[str, str]] = {}
    for answer in made:
        answers.setdefault(answer.student, {})[answer.question] = answer.text
    return answers


def make_class(root: Path, answers: Answers, *, url: str = "", whole: bool = False) -> Course:
    """Make a course of `vit` in which everyone is graded and nobody is marked.

    Args:
        root: The course folder, which must not exist.
        answers: Texts by student and question.
        url: Of the gradebook; empty means SQLite in the folder.
        whole: Whether notebooks have all cells, as real ones have, and not only the answers.
    """
    root.mkdir(parents=True)
    (root / "autograder").mkdir()
    for name in ("source", "release", "solutions", "autograder/checks"):
        (root / name).symlink_to(REPOSITORY / name)
    settings = f"c.CourseDirectory.db_url = {url!r}\n" if url else ""
    (root / "course_config.py").write_text(f"c = get_config()  # noqa: F821\n{settings}")
    address = course_directory(read_course(root), "vit").db_url
    with Gradebook(address):
        pass
    engine = sqlalchemy.create_engine(address)
    with engine.begin() as connection:
        _fill(connection, answers)
    engine.dispose()
    notebook = _released(whole=whole)
    for student, texts in answers.items():
        hand_in(root, student, texts, notebook)
    return read_course(root)


def desk_of(root: Path, answers: Answers, **settings: Any) -> Desk:
    """Return the desk of such a course."""
    return open_desk(make_class(root, answers, **settings), "vit")


def hand_in(root: Path, student: str, texts: Mapping[str, str], notebook: dict[str, Any] | None = None) -> None:
    """Write a graded notebook, in the place of the one that is there."""
    nb = notebook or _released(whole=False)
    for cell in nb["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        if name in QUESTIONS:
            cell["source"] = texts.get(name, UNTOUCHED)
    folder = root / "autograded" / student / "vit"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vit.ipynb").write_text(json.dumps(nb))


def _released(*, whole: bool) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads((REPOSITORY / "release" / "vit" / "vit.ipynb").read_text("utf-8"))
    if not whole:
        names = [cell["metadata"].get("nbgrader", {}).get("grade_id", "") for cell in notebook["cells"]]
        notebook["cells"] = [cell for cell, name in zip(notebook["cells"], names, strict=True) if name in QUESTIONS]
    return notebook


def _fill(connection: sqlalchemy.Connection, answers: Answers) -> None:
    """Write what nbgrader's release and autograde leave in its tables."""
    assignment, notebook = uuid4().hex, uuid4().hex
    course = connection.execute(sqlalchemy.select(_TABLES["course"].c.id)).scalar()
    if course is None:
        course = "default_course"
        _insert(connection, "course", [{"id": course}])
    _insert(connection, "assignment", [{"id": assignment, "name": "vit", "course_id": course}])
    _insert(connection, "notebook", [{"id": notebook, "name": "vit", "assignment_id": assignment}])
    graded = {name: uuid4().hex for name in (*TASKS, *QUESTIONS)}
    solved = {name: uuid4().hex for name in QUESTIONS}
    cells = [{"id": key, "name": name, "notebook_id": notebook, "type": "GradeCell"} for name, key in graded.items()]
    cells += [
        {"id": key, "name": name, "notebook_id": notebook, "type": "SolutionCell"} for name, key in solved.items()
    ]
    _insert(connection, "base_cell", cells)
    _insert(
        connection,
        "grade_cells",
        [
            {"id": key, "max_score": 8.0 if name in TASKS else 2.0, "cell_type": "markdown"}
            for name, key in graded.items()
        ],
    )
    _insert(connection, "solution_cells", [{"id": key} for key in solved.values()])
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("student", "submitted_assignment")}
    rows |= {name: [] for name in ("submitted_notebook", "grade", "comment")}
    for number, (student, texts) in enumerate(answers.items()):
        submission, part = uuid4().hex, uuid4().hex
        rows["student"].append({"id": student, "first_name": f"Given{number}", "last_name": f"Family{number}"})
        rows["submitted_assignment"].append({"id": submission, "assignment_id": assignment, "student_id": student})
        rows["submitted_notebook"].append({"id": part, "notebook_id": notebook, "assignment_id": submission})
        for name, key in graded.items():
            untouched = name in QUESTIONS and texts.get(name, UNTOUCHED) == UNTOUCHED
            points = 6.0 if name in TASKS else 0.0 if untouched else None
            grade = {"id": uuid4().hex, "notebook_id": part, "cell_id": key, "auto_score": points}
            rows["grade"].append(grade | {"needs_manual_grade": points is None})
        for key in solved.values():
            rows["comment"].append({"id": uuid4().hex, "notebook_id": part, "cell_id": key})
    for name, added in rows.items():
        _insert(connection, name, added)


def _insert(connection: sqlalchemy.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(_TABLES[table].insert(), rows)
