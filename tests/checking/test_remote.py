"""What a check is told where the notebook lacks a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

from autograder import wire
from autograder.checking.remote import Student
from autograder.errors import CheckFailed, StudentFault, StudentRaised

ASKING: dict[str, Callable[[Student], object]] = {
    "variable": lambda student: student.variable("total"),
    "function": lambda student: student.call_notebook("total"),
}


def student_that_raises(error: StudentFault) -> Student:
    """Return a submission that answers every question with this fault."""

    def ask(question: wire.Question, seconds: float | None) -> NoReturn:
        raise error

    return Student(ask, lambda variables: None, 1.0)


@pytest.mark.parametrize("kind", ASKING)
def test_the_name_that_the_notebook_must_define_is_named(kind: str) -> None:
    student = student_that_raises(StudentRaised("NameError", "anything at all", missing="total"))
    with pytest.raises(CheckFailed, match=f"^The notebook must define a {kind} named `total`, and yours does not.$"):
        ASKING[kind](student)


@pytest.mark.parametrize("kind", ASKING)
def test_another_missing_name_is_an_error_of_the_students_code(kind: str) -> None:
    student = student_that_raises(StudentRaised("NameError", "there is no `total`", missing="subtotal"))
    with pytest.raises(StudentRaised, match="Your code raised NameError: there is no `total`"):
        ASKING[kind](student)


def test_what_could_not_be_made_is_not_made_again_in_the_same_process() -> None:
    process, tried = ["first"], []

    def make(student: Student) -> NoReturn:
        tried.append(process[0])
        raise CheckFailed("Nothing explains it.")

    student = Student(lambda question, seconds: None, lambda variables: None, 1.0, lambda: process[0])
    for _ in range(3):
        with pytest.raises(CheckFailed, match="Nothing explains it"):
            student.once(make)
    process[0] = "second"
    with pytest.raises(CheckFailed):
        student.once(make)
    assert tried == ["first", "second"]
