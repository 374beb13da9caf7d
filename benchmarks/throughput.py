"""Grade the same class with this package, with nbgrader's own autograde, and with Otter: submissions per minute.

`python -m benchmarks.throughput [--class right|real] [--submissions 40] [--no-endless] [--otter] [--json FILE]`

The class comes from the corpus, with a seed (`classes.py`): every submission is right, or a third of them is, as in
classes as they are. The graders' commands run one after another on this machine, each timed from start to end, with
the cpu seconds of all that it started. nbgrader and Otter run, in the student's kernel, a notebook with only the cells
that the automatic tasks need and the few asserts of `minimal_tests.py`; this package runs all its hidden checks behind
the wall.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
import textwrap
import venv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook

from autograder.course.assignment import MODULE, Assignment, load_assignment
from autograder.course.submission import Snapshot
from autograder.sandbox.confine import adopt_orphans
from benchmarks.classes import real_class, right_class, right_names
from benchmarks.measuring import (
    build_course,
    cpu_of_children,
    machine,
    run_python,
    say,
    seconds,
    table,
    write_figures,
)
from benchmarks.minimal_tests import TESTS, in_kernel_files, minimal_notebook, tests_of

NBGRADER_CONFIG = """c = get_config()
c.CourseDirectory.root = {root!r}
c.Autograde.exclude_overwriting = {{{name!r}: ["utilities.py"]}}  # else the stubs replace each student's module
"""
PATIENCE = "c.Execute.timeout = 300  # seconds for a cell; the default of 30 might fail right cells on a busy machine\n"
OTTER_TEST = """OK_FORMAT = False
from otter.test_files import test_case

name = {task!r}
points = {points!r}


@test_case(points=points)
def test_{task}(env):
    exec(TEXT, env)


TEXT = {text!r}
"""
OTTER_VERSION = "otter-grader>=6,<8"


@dataclass(frozen=True)
class Run:
    """One grader's run over the class.

    Attributes:
        grader: Name of the row.
        seconds: From the start of its command to the end.
        cpu: Seconds of all processes that it started.
        submissions: How many it graded.
        failures: Students without full marks, with the reasons where they are known; all submissions are right.
    """

    grader: str
    seconds: float
    cpu: float
    submissions: int
    failures: tuple[str, ...]

    @property
    def per_minute(self) -> float:
        """Submissions graded in a minute."""
        return 60 * self.submissions / self.seconds


def write_class(folder: Path, assignment: Assignment, files: Mapping[str, Mapping[str, bytes]]) -> None:
    """Write submissions as nbgrader expects them: `<folder>/<student>/<assignment>/`."""
    for student, theirs in files.items():
        Snapshot(dict(theirs), "").write_to(folder / student / assignment.name)


def run_ours(course: Path, students: Mapping[str, Snapshot], *, record: bool) -> Run:
    """Grade with `autograder grade`, without any result from before."""
    shutil.rmtree(course / ".autograder" / "results", ignore_errors=True)
    return _run_ours("autograder grade" + ("" if record else " --no-record"), course, students, record=record)


def run_again(course: Path, students: Mapping[str, Snapshot]) -> Run:
    """Grade and record once more, when nothing has changed."""
    return _run_ours("autograder grade, again", course, students, record=True)


def _run_ours(name: str, course: Path, students: Mapping[str, Snapshot], *, record: bool) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        words = ["-m", "autograder", "grade", "--course", str(course), "--json", folder]
        spent, cpu = timed(lambda: run_python(*words, *([] if record else ["--no-record"])))
        results = {student: json.loads((Path(folder) / f"{student}.json").read_text()) for student in students}
    failed = tuple(f"{student}{_lost(result)}" for student, result in results.items() if _lost(result))
    return Run(name, spent, cpu, len(students), failed)


def _lost(result: dict[str, Any]) -> str:
    """Return the reasons for which points were lost, in brackets; nothing where none were."""
    checks = [check for task in result["tasks"] for check in task["checks"]]
    reasons = [f"{check['id']}: {check['message']}" for check in checks if check["outcome"] != "passed"]
    return f" ({'; '.join(reasons)})" if result["score"] < result["max_score"] else ""


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of one call on the clock, and the cpu seconds of all processes that it started."""
    before = cpu_of_children()
    spent = seconds(work)
    return spent, cpu_of_children() - before


def run_nbgrader(folder: Path, assignment: Assignment, students: Mapping[str, Snapshot], *, patient: bool) -> Run:
    """Grade with `nbgrader autograde` in a course of its own, with nbgrader's own running of the notebook.

    Args:
        folder: Of that course.
        assignment: The lab.
        students: The class.
        patient: Whether cells get more time than by nbgrader's default.
    """
    source = folder / "source" / assignment.name
    Snapshot(
        {f"{assignment.name}.ipynb": minimal_notebook(assignment), f"{MODULE}.py": _stubs(assignment)}, ""
    ).write_to(source)
    config = NBGRADER_CONFIG.format(root=str(folder), name=assignment.name) + (PATIENCE if patient else "")
    (folder / "nbgrader_config.py").write_text(config, "utf-8")
    nbgrader = ("-m", "nbgrader")
    run_python(*nbgrader, "generate_assignment", assignment.name, cwd=folder)
    files = {student: in_kernel_files(assignment, snapshot) for student, snapshot in students.items()}
    write_class(folder / "submitted", assignment, files)
    spent, cpu = timed(
        lambda: run_python(*nbgrader, "autograde", assignment.name, "--create", cwd=folder, may_fail=True)
    )
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        scores = {row.student_id: row.score for row in gradebook.assignment_submissions(assignment.name)}
    failed = tuple(student for student in students if scores.get(student, 0) < assignment.max_score)
    return Run("nbgrader autograde", spent, cpu, len(students), failed)


def _stubs(assignment: Assignment) -> bytes:
    return (assignment.source_dir / f"{MODULE}.py").read_bytes()


def run_otter(folder: Path, assignment: Assignment, students: Mapping[str, Snapshot]) -> Run:
    """Grade with `otter run`, one submission after another: it takes one at a time."""
    python = install_otter(folder / "environment")
    for task, points in ((task.id, task.points) for task in assignment.tasks):
        path = folder / "tests" / f"{task}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(OTTER_TEST.format(task=task, points=points, text=tests_of(task)), "utf-8")
    otter = ("-m", "otter")
    run_python(
        *otter, "generate", "-t", "tests", "-o", "autograder.zip", "--no-requirements", cwd=folder, python=python
    )
    for student, snapshot in students.items():
        (folder / f"{student}.zip").write_bytes(_zipped(in_kernel_files(assignment, snapshot)))

    def grade_all() -> None:
        for student in students:
            words = ("run", f"{student}.zip", "-a", "autograder.zip", "-o", f"out-{student}", "--no-logo")
            (folder / f"out-{student}").mkdir()
            run_python(*otter, *words, cwd=folder, python=python)

    spent, cpu = timed(grade_all)
    failed = tuple(student for student in students if _otter_score(folder / f"out-{student}") < assignment.max_score)
    return Run("otter run", spent, cpu, len(students), failed)


def install_otter(folder: Path) -> Path:
    """Make an environment with Otter that sees this one's libraries, and return its interpreter.

    Otter needs an older wrapt than this environment has.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    own = Path(run_python("-c", "import sysconfig; print(sysconfig.get_path('purelib'))", python=python).strip())
    libraries = run_python("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (own / "course.pth").write_text(f"{libraries}\n", "utf-8")
    run_python("-m", "pip", "install", "--quiet", OTTER_VERSION, python=python)
    return python


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _otter_score(folder: Path) -> float:
    tests = json.loads((folder / "results.json").read_text())["tests"]
    return sum(float(test.get("score", 0)) for test in tests)


def measure(students: Mapping[str, Snapshot], course: Path, *, patient: bool, otter: bool) -> list[Run]:
    """Run all graders over the same class and return their runs, this package's first.

    Args:
        students: The class.
        course: A copy of the course, built and released; further folders are made beside it.
        patient: Whether nbgrader gives cells more time than by default.
        otter: Whether Otter is run, too.
    """
    assignment = load_assignment(course, "vit")
    write_class(course / "submitted", assignment, {student: snapshot.files for student, snapshot in students.items()})
    steps: list[Callable[[], Run]] = [
        lambda: run_ours(course, students, record=False),
        lambda: run_ours(course, students, record=True),
        lambda: run_again(course, students),
        lambda: run_nbgrader(course.parent / "nbgrader", assignment, students, patient=patient),
    ]
    if otter:
        steps.append(lambda: run_otter(course.parent / "otter", assignment, students))
    return [_told(step()) for step in steps]


def _told(run: Run) -> Run:
    say(f"{run.grader}: {run.submissions} submissions in {run.seconds:.0f} s, {len(run.failures)} without full marks")
    return run


def rendered(runs: Sequence[Run]) -> str:
    """Return the table: submissions per minute, and how many times as many as nbgrader's."""
    others = [run for run in runs if run.grader == "nbgrader autograde"]
    rows = [
        (
            run.grader,
            f"{run.seconds:.1f}",
            f"{run.cpu:.1f}",
            f"{run.per_minute:.2f}",
            f"{run.per_minute / others[0].per_minute:.2f}" if others else "?",
            len(run.failures),
        )
        for run in runs
    ]
    return table(("grader", "seconds", "cpu s", "submissions per minute", "of nbgrader's", "without full marks"), rows)


def what_runs() -> str:
    """Return what the two in-kernel graders run, in words."""
    return textwrap.fill(
        f"nbgrader and Otter run the notebook's {len(TESTS)} automatic tasks in one kernel "
        "per submission, one submission after another, with a few asserts per task, the sizes that grading sets, the "
        "large model built and counted, and one training of the hidden checks' small ViT. autograder grade runs all "
        "hidden checks behind the wall, with nothing cached and as many workers as it chooses; again: when nothing has "
        "changed since.",
        width=118,
    )


def main() -> None:
    """Measure and print.

    Raises:
        SystemExit: If one of this package's results misses full marks.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--class", choices=("right", "real"), default="right", dest="kind")
    parser.add_argument("--submissions", type=int, default=40, metavar="N")
    parser.add_argument("--no-endless", action="store_true", help="leave out the real class' submission without end")
    parser.add_argument("--otter", action="store_true", help="also run Otter, in an environment made for it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    adopt_orphans()  # student processes whose zygote ended first
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        course = build_course(Path(folder) / "ours", release=True)
        assignment = load_assignment(course, "vit")
        if options.kind == "right":
            students = right_class(assignment, options.submissions)
        else:
            students = real_class(assignment, options.submissions, endless=not options.no_endless)
        right = right_names(assignment)
        runs = measure(students, course, patient=options.kind == "right", otter=options.otter)
    say(f"\n{what_runs()}\n\n{rendered(runs)}")
    figures = [asdict(run) | {"per_minute": run.per_minute} for run in runs]
    write_figures(options.json, {"machine": machine(), "class": options.kind, "what": what_runs(), "runs": figures})
    failed = [student for run in runs if run.grader.startswith("autograder") for student in run.failures]
    if wrong := [student for student in failed if student.partition(" ")[0] in right]:
        raise SystemExit(f"Right submissions without full marks: {', '.join(wrong)}.")


if __name__ == "__main__":
    main()
