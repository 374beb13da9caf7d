"""One made submission with everything that a feedback page can show: pictures, notes, marks by hand, a late penalty."""

from __future__ import annotations

import nbformat
import numpy as np

from autograder.checking.pictures import attention_picture, curve_picture, patch_picture
from autograder.feedback.notebook_cells import CellOnPage, notebook_cells
from autograder.feedback.page import recorded_page, render_page
from autograder.marks import Mark, OpenMark, Person, StudentMarks
from autograder.results import (
    CheckResult,
    Environment,
    Outcome,
    Picture,
    Submission,
    SubmissionResult,
    TaskResult,
    task_score,
)
from tests.made_class import QUESTIONS, TASKS, TITLES

SCALED = "The attention weights are softmax(q kᵀ / sqrt(d)), with other numbers of queries and keys."
COLUMNS = "Your patches come column by column. They must come row by row."
HISTORY = {
    "loss": (2.31, 1.94, 1.42, 1.01, 0.74, 0.58),
    "accuracy": (0.12, 0.31, 0.52, 0.67, 0.78, 0.84),
    "val_loss": (2.11, 1.72, 1.3, 1.05, 0.96, 0.99),
    "val_accuracy": (0.19, 0.4, 0.55, 0.64, 0.69, 0.68),
}


def softmax(scores: np.ndarray, axis: int) -> np.ndarray:
    """Return exponentials that sum to 1 along an axis."""
    powers = np.exp(scores)
    weights: np.ndarray = powers / powers.sum(axis=axis, keepdims=True)
    return weights


def attention() -> Picture | None:
    """Weights that sum to 1 over the queries, beside those that do over the keys."""
    scores = np.random.default_rng(1).normal(size=(2, 5, 7))
    return attention_picture(softmax(scores, 1), softmax(scores, 2))


def patches() -> Picture | None:
    """Nine patches: in the order of columns, one mixed up inside, one made of several."""
    right = np.random.default_rng(2).normal(size=(1, 9, 48)).astype(np.float32)
    got = right[:, [0, 3, 6, 1, 4, 7, 2, 5, 8]].copy()
    got[0, 4] = got[0, 4, ::-1]
    got[0, 8, :24] = right[0, 0, :24]
    return patch_picture(got, right, columns=3)


def check(task: str, name: str, sentence: str, outcome: Outcome = "passed", **more: object) -> CheckResult:
    """Return one check."""
    return CheckResult(id=f"{task}::{name}", sentence=sentence, outcome=outcome, weight=1.0, **more)  # type: ignore[arg-type]


def example_result() -> SubmissionResult:
    """Return a result with a mistake of each kind."""
    shown = {"attention": attention(), "patches": patches(), "curves": curve_picture(HISTORY, tuple(HISTORY))}
    checks: dict[str, tuple[CheckResult, ...]] = {
        "attention": (
            check(
                "attention",
                "weights",
                SCALED,
                "failed",
                message="Your weights sum to 1 over the queries. The softmax must run over the keys, the last axis of "
                "the scores.",
                misconception="softmax_over_queries",
                pictures=(shown["attention"],),
            ),
            check("attention", "rank_4", "It works for rank 4, with batch and heads as leading axes."),
        ),
        "patch_extractor": (
            check("patch_extractor", "shape", "An image (1, 32, 32, 3) gives (1, 16, 192) with patch_size 8."),
            check(
                "patch_extractor",
                "order",
                "Patches come row by row; inside a patch the order is row, column, channel.",
                "failed",
                message=COLUMNS,
                misconception="patches_by_columns",
                pictures=(shown["patches"],),
            ),
        ),
        "mlp": (check("mlp", "works", "It works.", "error", message="KeyError in oracle.py"),),
        "training": (
            check("training", "vit_learns", "A small ViT learns.", pictures=(shown["curves"],)),
            check("training", "loss", "The loss is right.", "failed", message="Expected 1.5,\n  got <b>2</b>."),
        ),
    }
    tasks = tuple(
        TaskResult(
            id=name,
            score=task_score(checks.get(name, ()), worth) if name in checks else worth,
            max_score=worth,
            carried_forward=name == "multi_head_attention",
            checks=checks.get(name, (check(name, "works", f"The part {name} works."),)),
        )
        for name, worth in TASKS.items()
    )
    return SubmissionResult(
        assignment="vit",
        submission=Submission(digest="sha256:0", student="ada"),
        score=round(sum(task.score for task in tasks), 2),
        max_score=72.0,
        environment=Environment(tensorflow="2.21", device="cpu", sandbox=()),
        tasks=tasks,
        notes=("The cell `mlp_answer` was moved; it was graded in its own place.",),
    )


def example_marks() -> StudentMarks:
    """Return marks with some questions marked, one of them with a comment."""
    result = example_result()
    scores = [2.0, 1.5, 0.0, *[None] * (len(QUESTIONS) - 3)]
    comments = ["Good.", "Say what it costs:\n- in memory\n- in time", "No response."]
    comments += [""] * (len(QUESTIONS) - 3)
    return StudentMarks(
        person=Person("ada"),
        tasks={task.id: _mark(task) for task in result.tasks},
        questions={
            name: Mark(name, worth, score, by_hand=True, comment=comment)
            for (name, worth), score, comment in zip(QUESTIONS.items(), scores, comments, strict=True)
        },
        remarks={"attention_answer": "Nice use of einsum."},
        penalty=3.5,
        seconds_late=90_000.0,
    )


def _mark(task: TaskResult) -> Mark:
    held = OpenMark("held", why="works: KeyError in oracle.py") if task.held else None
    return Mark(task.id, task.max_score, task.score, waiting=held is not None, open=held)


DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def example_cells() -> list[CellOnPage]:
    """Return the cells of a small graded notebook with a cell of each kind."""
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell

    def marked(name: str, **marking: bool) -> dict[str, object]:
        return {"nbgrader": {"grade_id": name, "locked": False, "grade": False, "solution": False} | marking}

    table = "<style>td {color: red}</style><table style='position:fixed'><tr><td id='tasks'>1</td></tr></table>"
    outputs = [
        nbformat.v4.new_output("stream", text="\x1b[31mepoch 1\x1b[0m\n" + "loss 0.5, " * 40),
        nbformat.v4.new_output("display_data", data={"image/png": DOT, "text/plain": "<Figure>"}),
        nbformat.v4.new_output("display_data", data={"text/html": table}),
        nbformat.v4.new_output("error", ename="ValueError", evalue="<b>no</b>", traceback=[]),
    ]
    words = " | ".join(["patches_of_images"] * 6)
    wide = f"| {words} |\n|{'---|' * 6}\n| {words} |"
    cells = [
        text("# Vision Transformers\n\nRead *this* first: $q k^T$.", metadata=marked("intro", locked=True)),
        code("import utilities  # given", metadata=marked("given", locked=True)),
        code(
            "def attention(q, k, v):\n    return 'weights', 1.5  # mine",
            metadata=marked("attention_answer", solution=True),
            outputs=outputs,
        ),
        code("# checks", metadata=marked("attention", grade=True, locked=True)),
        text("### Why\n\nBecause it **attends**.", metadata=marked("question_01", grade=True, solution=True)),
        text(f"Not yet.\n\n{wide}", metadata=marked("question_14", grade=True, solution=True)),
        code("print('my own trial')"),
    ]
    return notebook_cells(nbformat.v4.new_notebook(cells=cells), [])


def example_page() -> str:
    """Return the page, as `feedback` writes it."""
    return render_page(recorded_page("Vision Transformers", example_result(), example_marks(), example_cells(), TITLES))
