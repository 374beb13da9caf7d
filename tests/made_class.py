"""A made class of any size: abilities and difficulties are drawn, and checks are passed as they would have it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

from autograder.course.assignment import read_titles
from autograder.marks import ClassMarks, Mark, Person, StudentMarks
from autograder.reports.fingerprints import Passage
from autograder.reports.similarity import Pair
from autograder.results import CheckResult, Environment, Outcome, Submission, SubmissionResult, TaskResult, task_score

TASKS = {
    "attention": 8.0,
    "multi_head_attention": 12.0,
    "mlp": 4.0,
    "transformer_block": 10.0,
    "data_split": 2.0,
    "preprocessing": 2.0,
    "patch_extractor": 8.0,
    "patch_encoder": 8.0,
    "vit_model": 8.0,
    "training": 6.0,
    "carbon": 2.0,
    "pretrained": 2.0,
}
TITLES = read_titles(Path(__file__).parents[1], "vit")
QUESTIONS = {f"question_{number:02}": 2.0 for number in range(1, 15)}
CHECKS = 7
MISTAKES = ("scaling_missing", "softmax_over_queries", "heads_not_merged", "patches_transposed+rows_swapped")
DUE = datetime(2030, 1, 1)


def made_class(students: int, seed: int = 1) -> tuple[ClassMarks, list[Pair]]:
    """Return the marks of so many students, and some pairs that are alike."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    hard = {f"{task}::check_{number}": draw.gauss(-0.8, 1.1) for task in TASKS for number in range(CHECKS)}
    class_of = tuple(made_student(f"student-{number:03}", hard, draw) for number in range(1, students + 1))
    names = [student.person.id for student in class_of]
    passages = tuple(Passage("utilities.py", line, line + 9) for line in range(40, 400, 60))
    pairs = [
        Pair(names[n], names[-n - 1], round(0.95 - n / 20, 4), 80 - n, 40 - n, passages, passages)
        for n in range(min(10, students // 2))
    ]
    return ClassMarks("vit", TASKS | QUESTIONS, tuple(TASKS), class_of, recorded=True, titles=TITLES), pairs


def made_student(name: str, hard: dict[str, float], draw: random.Random) -> StudentMarks:
    """Return one student, who may be late, missing, or the victim of an internal error."""
    if draw.random() < 0.03:
        return StudentMarks(Person(name))
    ability = draw.gauss(0.4, 1.2)
    tasks = tuple(_task(task, points, ability, hard, draw) for task, points in TASKS.items())
    score = round(sum(task.score for task in tasks), 2)
    result = SubmissionResult(
        assignment="vit",
        submission=Submission(digest="sha256:0", student=name),
        score=score,
        max_score=sum(TASKS.values()),
        environment=Environment(tensorflow="2.21", device="cpu", sandbox=()),
        tasks=tasks,
    )
    late = draw.random() < 0.1
    seconds = draw.uniform(600, 300_000) if late else 0.0
    given = {question: draw.choice([0.0, 0.5, 1.0, 1.5, 2.0]) for question in QUESTIONS}
    waiting = ("question_03",) if draw.random() < 0.05 else ()
    return StudentMarks(
        person=Person(
            name, first_name=f"First {name[-3:]}", last_name=f"Last {name[-3:]}", email=f"{name}@example.org"
        ),
        tasks={task.id: Mark(task.id, task.max_score, task.score) for task in tasks},
        questions={
            name: Mark(name, worth, given[name], by_hand=True, waiting=name in waiting)
            for name, worth in QUESTIONS.items()
        },
        penalty=round(draw.uniform(1, 10), 1) if late else 0.0,
        seconds_late=seconds,
        handed_in=DUE + timedelta(seconds=seconds or -3600),
        due=DUE,
        submitted=True,
        result=result,
    )


def _task(task: str, points: float, ability: float, hard: dict[str, float], draw: random.Random) -> TaskResult:
    checks = tuple(
        _check(f"{task}::check_{number}", ability - hard[f"{task}::check_{number}"], draw) for number in range(CHECKS)
    )
    carried = draw.random() < 0.1
    return TaskResult(
        id=task, score=task_score(checks, points), max_score=points, carried_forward=carried, checks=checks
    )


def _check(name: str, margin: float, draw: random.Random) -> CheckResult:
    outcome: Outcome = "passed" if draw.gauss(0, 1) < margin else "failed"
    if draw.random() < 0.0005:
        outcome = "error"
    failed = outcome == "failed"
    return CheckResult(
        id=name,
        sentence=f"The part does what {name.replace('_', ' ')} asks for, whatever the sizes are.",
        outcome=outcome,
        weight=1.0,
        message="Expected (2, 9, 48), got (2, 48, 9). Check the order of your transpose." if failed else "",
        misconception=draw.choice(MISTAKES) if failed and draw.random() < 0.4 else None,
        duration=draw.uniform(0.01, 0.3),
    )
