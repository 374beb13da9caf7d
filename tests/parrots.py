"""Replies of one graded submission, recorded and given again: no TensorFlow, no student process."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from autograder import wire
from autograder.audit.corpus import Variant
from autograder.checking.remote import Student
from autograder.config import Settings
from autograder.course.assignment import Assignment, Task
from autograder.course.course import Course
from autograder.errors import MalformedReply
from autograder.grading.check_runner import CheckEnding, Checks
from autograder.grading.grader import Grader
from autograder.grading.student_process import StudentProcess, answer_in
from tests.lies import Reply, spoilt
from tests.submissions.corpus import read_corpus

NOT_OF_A_CHECK = (wire.Load, wire.StandIn, wire.RunCell, wire.Restart, wire.Lacking, wire.OtherKeras)
"""Questions that grading asks by itself, whatever a check wants to know."""
Key = tuple[str, bytes]
"""A task, and a digest of a question and of the last one before it that changed anything."""


@dataclass
class Recording:
    """What the checks of each task asked one submission, and what it answered.

    Attributes:
        seeds: What the checks of a task drew from.
        replies: By question, those to the same one in turn.
    """

    seeds: dict[str, bytes] = field(default_factory=dict)
    replies: dict[Key, list[Reply]] = field(default_factory=lambda: defaultdict(list))


class Asking:
    """Turns the questions of one task's checks into keys."""

    def __init__(self, task: str) -> None:
        self.task = task
        self._changed = b""

    def key(self, question: wire.Question) -> Key:
        """Return the key of the next question."""
        encoded = hashlib.sha256(msgspec.msgpack.encode(question)).digest()
        key = (self.task, hashlib.sha256(encoded + self._changed).digest())
        if isinstance(question, wire.SetWeights | wire.Train | wire.Assign):
            self._changed = encoded
        return key


def record(folder: Path, assignment: Assignment, style: str = "") -> Recording:
    """Grade right work once and return what was asked and answered.

    Args:
        folder: An empty one, for a course.
        assignment: Whose checks ask.
        style: A right module of the corpus; empty for the solved one.
    """
    recording, asking = Recording(), [Asking("")]
    exchange, endings = StudentProcess._exchange, Checks.endings

    def exchanging(process: StudentProcess, question: wire.Question, seconds: float) -> Reply:
        reply = exchange(process, question, seconds)
        if isinstance(question, NOT_OF_A_CHECK):
            return reply
        key = asking[0].key(question)
        if not isinstance(question, wire.Assign):
            recording.replies[key].append(reply)
        return reply

    def running(checks: Checks, task: Task, student: Student, seed: bytes, *more: Any) -> tuple[CheckEnding, ...]:
        asking[0] = Asking(task.id)
        recording.seeds[task.id] = seed
        return endings(checks, task, student, seed, *more)

    with (
        mock.patch.object(StudentProcess, "_exchange", exchanging),
        mock.patch.object(Checks, "endings", running),
        Grader(Course(folder), assignment, threads=1) as grader,
    ):
        grader._secret = b"the same for each recording"
        result = grader.grade(read_corpus().submission(Variant(style or "solved", right=True, base=style)))
    assert result.score == result.max_score, "only right work is recorded"
    return recording


Interfere = Callable[[Reply, str], bytes | None]
"""Given the next reply and the kind of question, returns the body of one to send in its place, if any."""


class Parrot:
    """Answers as recorded.

    Args:
        recording: What was answered.
        task: Whose checks ask.
        spoilt: Whether every array of numbers that comes is wrong.
        interfere: See there.
    """

    def __init__(self, recording: Recording, task: str, *, spoilt: bool, interfere: Interfere) -> None:
        self._recording = recording
        self._asking = Asking(task)
        self._spoilt = spoilt
        self._interfere = interfere
        self._turns: Counter[Key] = Counter()
        self._last: dict[str, Key] = {}
        self._process = 0

    def student(self) -> Student:
        """Return the submission as checks see it."""
        return Student(self._ask, self._run_answers, 1.0, lambda: self._process)

    def _run_answers(self, variables: Mapping[str, wire.Value]) -> None:
        if variables:
            self._asking.key(wire.Assign(dict(variables)))

    def _ask(self, question: wire.Question, seconds: float | None) -> Any:
        kind = type(question).__name__
        reply = self._recorded(self._asking.key(question), kind)
        lie = self._interfere(reply, kind)
        try:
            return answer_in(_decoded(wire.encode_frame(reply)[4:] if lie is None else lie))
        except MalformedReply:
            self._process += 1  # that one is stopped
            raise

    def _recorded(self, key: Key, kind: str) -> Reply:
        """Return the recorded reply; to a question that was never asked, the last one to a question of its kind."""
        known = key if key in self._recording.replies else self._last.get(kind)
        if known is None:
            return wire.Raised(0, "ValueError", "never asked")
        self._last[kind] = known
        replies = self._recording.replies[known]
        turn = self._turns[known] % len(replies)
        self._turns[known] += 1
        reply = replies[turn]
        if self._spoilt and isinstance(reply, wire.Answer):
            return wire.Answer(reply.id, spoilt(reply.value))
        return reply


def _decoded(body: bytes) -> Reply:
    if len(body) > Settings.max_reply_mib << 20:
        raise MalformedReply("Your code's answer is too large.")
    reply = wire.decode_reply(body)
    if not isinstance(reply, wire.Answer | wire.Raised):
        raise MalformedReply("Your code's answer does not belong to the question.")
    return reply
