"""What is shown of a check that was run beside a stand-in: nothing that the process there chose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autograder.course.assignment import Task
from autograder.course.submission import Snapshot
from autograder.errors import CellStopped, CheckFailed, StudentRaised
from autograder.grading import carried_forward
from autograder.grading.carried_forward import BROKEN, OBSERVED, STILL_WRONG, StandInRuns, sentences_of, withheld
from autograder.grading.check_runner import CheckEnding
from autograder.grading.reference import StandIns
from autograder.results import AttentionPicture, CheckResult, Outcome

CLOSED = frozenset(
    {"Your scores are not scaled.", "Your softmax is missing.", "unscaled", "wrong_shape", "nothing_returned"}
)
RAISED = "Your code raised ValueError: def attention(q, k, v) (utilities.py, in call, line 3)"
EITHER = ("Your scores are not scaled.", "Your softmax is missing.")
PICTURE = AttentionPicture(got=((1.0,),), right=((1.0,),))


def check(reason: str | tuple[str, ...], misconception: str | None = None, outcome: Outcome = "failed") -> CheckEnding:
    error = CheckFailed(reason, misconception)
    result = CheckResult(
        id="a", outcome=outcome, weight=1.0, message=error.message, misconception=misconception, pictures=(PICTURE,)
    )
    return CheckEnding(result, error.sentences)


def raised(exception: str, message: str = RAISED) -> CheckEnding:
    return replace(check(message), exception=exception)


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        (check("Your scores are not scaled.", "unscaled"), ("Your scores are not scaled.", "unscaled")),
        (
            check(EITHER, "unscaled"),
            ("Your scores are not scaled. Or: Your softmax is missing.", "unscaled"),
        ),
        (check((EITHER[0], "return q @ k"), "unscaled+return"), (STILL_WRONG, "unscaled")),
        (
            check("The output must have shape (2, 3); got (7, 9).", "wrong_shape"),
            (f"{STILL_WRONG} {OBSERVED['wrong_shape']}", "wrong_shape"),
        ),
        (check("Your softmax is missing. Your scores are not scaled."), (STILL_WRONG, None)),
        (check("".join(EITHER)), ("".join(EITHER), None)),  # as the checks put two of their texts together
        (raised("ValueError"), (f"{STILL_WRONG} Your code raised ValueError.", None)),
        (raised("TheReferenceIsQKT"), (STILL_WRONG, None)),
        (
            check("`create` must return a model; got nothing (None).", "nothing_returned"),
            (f"{STILL_WRONG} {OBSERVED['nothing_returned']}", "nothing_returned"),
        ),
        (check("ValueError: return q @ k", outcome="error"), (BROKEN, None)),
        (check("return q @ k", "return q @ k", outcome="passed"), ("", None)),
        (check("return q @ k", outcome="skipped"), (STILL_WRONG, None)),
    ],
)
def test_only_a_closed_list_is_shown(seen: CheckEnding, shown: tuple[str, str | None]) -> None:
    told = withheld(seen, None, CLOSED)
    assert (told.message, told.misconception) == shown
    assert told.outcome == seen.result.outcome
    assert told.pictures == ()


def test_what_the_own_process_said_too_is_shown() -> None:
    own = raised("ValueError")
    assert withheld(own, own, CLOSED).message == RAISED
    assert withheld(raised("ValueError", RAISED + " more"), own, CLOSED).message == RAISED
    other = raised("KeyError", RAISED.replace("ValueError", "KeyError"))
    assert withheld(other, own, CLOSED).message == f"{STILL_WRONG} Your code raised KeyError."
    assert withheld(other, own, CLOSED | {other.result.message}).message == other.result.message
    assert withheld(check("return q @ k"), check("another reason"), CLOSED).message == STILL_WRONG


def test_the_kind_of_an_exception_stays_with_what_tells_of_it() -> None:
    error = StudentRaised("ValueError", "no")
    assert CellStopped("attention", error).exception == error.exception == "ValueError"
    assert CheckFailed("wrong").exception == ""


def test_constant_texts_are_the_closed_list(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text('SENTENCES = {"slug": "A long " "sentence."}\nfail(f"got {shape} of it")\n')
    (tmp_path / "readings").mkdir()
    (tmp_path / "readings" / "parts.py").write_text('UNSEEN = "A part is missing."\n')
    found = sentences_of(tmp_path)
    assert {"slug", "A long sentence.", "A part is missing.", "Your code's answer could not be read."} <= found
    assert not {"got ", " of it"} & found


@pytest.mark.parametrize(
    ("place", "line", "is_reason"),
    [
        ("utilities.py, in own", 5, True),
        ("utilities.py, in replaced", 2, False),
        ("cell answer, in run", 2, False),
        ("cell another, in run", 2, True),
        ("", 0, True),
    ],
)
def test_what_came_in_a_replaced_part_is_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, line: int, is_reason: bool
) -> None:
    there = "utilities.py, in own", 5
    module = b"def replaced():\n    raise ValueError\n\ndef own():\n    raise ValueError\n"
    choice = StandIns((), frozenset({"replaced"}), "", {"answer": ""})
    reference = SimpleNamespace(stand_ins_for=lambda wrong: (choice,), helpers=frozenset[str](), parts=frozenset[str]())
    case: Any = SimpleNamespace(
        snapshot=Snapshot({"utilities.py": module}, ""),
        assignment=SimpleNamespace(checks_dir=tmp_path),
        reference=reference,
    )
    checks: Any = SimpleNamespace(
        endings=lambda *words: (replace(raised("ValueError", "something else"), place=there[0], line=there[1]),)
    )
    task = Task("task", "task", 1.0, ("own",), ("another",), (), tmp_path)
    monkeypatch.setattr(carried_forward, "LiveSubmission", lambda *words: SimpleNamespace(student=str, close=str))
    with StandInRuns(case, checks, b"seed") as runs:
        (told,) = runs.run(task, (task,), (replace(raised("ValueError"), place=place, line=line),))
        there = "cell another, in run", 1
        (in_a_cell,) = runs.run(task, (task,))
    assert told.message == (RAISED if is_reason else f"{STILL_WRONG} Your code raised ValueError in `own`.")
    assert in_a_cell.message == f"{STILL_WRONG} Your code raised ValueError in `another`."
