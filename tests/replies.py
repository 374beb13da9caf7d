"""Replies of one graded submission, recorded, and given again with one field changed: no TensorFlow, no process.

What a submission says may cost points, but must never make a check raise, take the grader's memory or time, or earn
anything by itself.
"""

from __future__ import annotations

import hashlib
import math
import random
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np

from autograder import wire
from autograder.checking.remote import Student
from autograder.course.assignment import Assignment, Task, load_assignment
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.errors import MalformedReply
from autograder.grading.check_runner import Checks, collected_checks
from autograder.grading.grader import Grader
from autograder.grading.student_process import StudentProcess, answer_in
from autograder.results import CheckResult, task_score

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 2.0
"""Of the grader's processor, that one reply may cost beyond what the checks take anyway."""
MOST_MIB = 200
"""Of the grader's memory, that checks may take while they hear one wrong reply."""
_HUGE = 8 << 20

Reply = wire.Answer | wire.Raised
Key = tuple[str, bytes]
"""A task, and a digest of a question and of the last one before it that changed anything."""
ODD_ARRAYS = [
    np.zeros(()), np.zeros(0), np.zeros((0, 3)), np.zeros((2, 0)), np.ones(1, bool), np.arange(4), np.full(3, np.nan),
    np.array(np.inf), np.full((2, 2), 1e300), np.full((2, 2), 60000, np.float16), np.zeros(_HUGE, np.float16),
    np.zeros((_HUGE // 64, 64), np.float32), np.ones((1,) * 16), np.full(5, np.iinfo(np.uint64).max),
    np.eye(3, dtype=np.int8),
]  # fmt: skip
ODD_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 1 << 40, (1 << 64) - 1, -(1 << 63), 0.5, math.nan, math.inf, -math.inf, 1e300,
    "", "no", "\ud7ff\x00", "x" * 4000, "x" * 1_000_000, b"no", [], {}, [1 << 40] * 16,
]  # fmt: skip


@dataclass
class Recording:
    """What the checks of each task asked one submission, and what it answered.

    Attributes:
        seeds: What the checks of a task drew from.
        replies: By question, those to the same one in turn.
    """

    seeds: dict[str, bytes] = field(default_factory=dict)
    replies: dict[Key, list[Reply]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[Key, str] = field(default_factory=dict)


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


def record(folder: Path, assignment: Assignment) -> Recording:
    """Grade the solved assignment once and return what was asked and answered."""
    recording, asking = Recording(), [Asking("")]
    exchange, run = StudentProcess._exchange, Checks.run

    def exchanging(process: StudentProcess, question: wire.Question, seconds: float) -> Reply:
        reply = exchange(process, question, seconds)
        if isinstance(question, wire.Load | wire.StandIn | wire.RunCell):
            return reply
        key = asking[0].key(question)
        if not isinstance(question, wire.Assign):
            recording.replies[key].append(reply)
            recording.kinds[key] = type(question).__name__
        return reply

    def running(checks: Checks, task: Task, student: Student, seed: bytes, *more: Any) -> tuple[CheckResult, ...]:
        asking[0] = Asking(task.id)
        recording.seeds[task.id] = seed
        return run(checks, task, student, seed, *more)

    module = (assignment.solution_dir / "utilities.py").read_bytes()
    files = {"utilities.py": module, f"{assignment.name}.ipynb": assignment.notebook_path.read_bytes()}
    with (
        mock.patch.object(StudentProcess, "_exchange", exchanging),
        mock.patch.object(Checks, "run", running),
        Grader(Course(folder), assignment, threads=1) as grader,
    ):
        grader._secret = b"the same for each recording"
        result = grader.grade(Snapshot(files, f"{assignment.name}.ipynb"))
    assert result.score == result.max_score, "only right work is recorded"
    return recording


class Parrot:
    """Answers as recorded, with one reply changed.

    Args:
        recording: What was answered.
        task: Whose checks ask.
        lie: Frame that is sent in place of the reply to one question, and that question.
        spoilt: Whether every array of numbers that comes is wrong.
    """

    def __init__(self, recording: Recording, task: str, lie: tuple[Key, bytes] | None, *, spoilt: bool) -> None:
        self._recording = recording
        self._asking = Asking(task)
        self._lie = lie
        self._spoilt = spoilt
        self._turns: Counter[Key] = Counter()
        self._last: dict[str, Key] = {}
        self._process = 0
        self.asked: set[Key] = set()

    def student(self) -> Student:
        """Return the submission as checks see it."""
        return Student(self._ask, self._run_answers, 1.0, lambda: self._process)

    def _run_answers(self, variables: Mapping[str, wire.Value]) -> None:
        if variables:
            self._asking.key(wire.Assign(dict(variables)))

    def _ask(self, question: wire.Question, seconds: float | None) -> Any:
        key, kind = self._asking.key(question), type(question).__name__
        self.asked.add(key)
        try:
            return answer_in(self._decoded(key, kind))
        except MalformedReply:
            self._process += 1  # that one is stopped
            raise

    def _decoded(self, key: Key, kind: str) -> Reply:
        if self._lie is not None and key == self._lie[0]:
            body = self._lie[1]
        else:
            body = wire.encode_frame(self._recorded(key, kind))[4:]
        reply = wire.decode_reply(body)
        if not isinstance(reply, wire.Answer | wire.Raised):
            raise MalformedReply("Your code's answer does not belong to the question.")
        return reply

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


def spoilt(value: wire.Value) -> wire.Value:
    """Return a value in which every array of floating-point numbers holds others."""
    if isinstance(value, wire.Array) and value.dtype.startswith("float"):
        array = wire.unpack_array(value)
        other = array.ravel()[::-1].reshape(array.shape) * 1.5 + np.linspace(0.1, 0.9, array.size).reshape(array.shape)
        return wire.pack_array(other.astype(array.dtype))
    if isinstance(value, wire.Items):
        return wire.Items([spoilt(item) for item in value.items])
    if isinstance(value, wire.Table):
        return wire.Table({name: spoilt(item) for name, item in value.items.items()})
    return value


@dataclass(frozen=True)
class Lie:
    """One reply to change, and the checks that ask for it."""

    key: Key
    checks: frozenset[str]


class Replay:
    """Runs checks against parrots.

    Args:
        recording: What was asked and answered.
        checks: The hidden checks of all tasks, collected.
        assignment: Whose they are.
    """

    def __init__(self, recording: Recording, checks: Checks, assignment: Assignment) -> None:
        self._recording = recording
        self._checks = checks
        self._tasks = {task.id: task for task in assignment.tasks}
        askers: dict[Key, set[str]] = defaultdict(set)
        self.honest: dict[str, tuple[CheckResult, ...]] = {}
        self._usual: dict[tuple[str, frozenset[str], bool], tuple[float, float]] = {}
        for task in assignment.tasks:
            whole, asked = self._run(task.id, frozenset(), None, spoilt=False)
            self.honest[task.id] = whole
            names = {check.id for check in whole}
            alone = {name: self._run(task.id, frozenset(names - {name}), None, spoilt=False)[1] for name in names}
            if all(keys <= recording.replies.keys() for keys in alone.values()):
                for name, keys in alone.items():
                    for key in keys:
                        askers[key].add(name)
            else:  # some ask otherwise when they are alone: all are run, whatever is changed
                askers |= dict.fromkeys(asked, names)
        self.lies = [Lie(key, frozenset(askers[key])) for key in recording.replies if key in askers]

    def _run(
        self, task: str, without: frozenset[str], lie: tuple[Key, bytes] | None, *, spoilt: bool
    ) -> tuple[tuple[CheckResult, ...], set[Key]]:
        parrot = Parrot(self._recording, task, lie, spoilt=spoilt)
        checks = self._checks.run(self._tasks[task], parrot.student(), self._recording.seeds[task], without)
        return checks, parrot.asked

    def try_lie(self, rng: random.Random) -> str:
        """Change one field of one reply and return how the checks that hear it end.

        Raises:
            AssertionError: If a check raised, took too much memory or time, or passed by testimony alone.
        """
        lie = rng.choice(self.lies)
        task, _ = lie.key
        testimony = rng.random() < 0.4
        reply = rng.choice(self._recording.replies[lie.key])
        if testimony and isinstance(reply, wire.Answer):
            reply = wire.Answer(reply.id, spoilt(reply.value))
        body = changed_reply(rng, reply, arrays=not testimony)
        without = frozenset(check.id for check in self.honest[task]) - lie.checks
        before, usual = self._unchanged(task, without, spoilt=testimony)
        with little_memory():
            started = time.process_time()
            checks, _ = self._run(task, without, (lie.key, body), spoilt=testimony)
            seconds = time.process_time() - started
        where = f"{task}, {self._recording.kinds[lie.key]}, {body[:300]!r}"
        broken = [f"{check.id}: {check.message}" for check in checks if check.outcome not in ("passed", "failed")]
        assert not broken, f"{broken}, {where}"
        assert seconds < usual + MOST_SECONDS, f"{seconds:.1f} s: {where}"
        score = task_score(checks, 1.0)
        passed = [check.id for check in checks if check.outcome == "passed"]
        assert score <= before, f"from {before} to {score} by testimony: {passed}, {where}"
        return "all passed" if score == 1 else "some failed" if score else "all failed"

    def _unchanged(self, task: str, without: frozenset[str], *, spoilt: bool) -> tuple[float, float]:
        """Return the score of checks where no reply is changed, but maybe every array is wrong, and their seconds."""
        if (task, without, spoilt) not in self._usual:
            started = time.process_time()
            checks, _ = self._run(task, without, None, spoilt=spoilt)
            self._usual[task, without, spoilt] = (task_score(checks, 1.0), time.process_time() - started)
        return self._usual[task, without, spoilt]


def changed_reply(rng: random.Random, reply: Reply, *, arrays: bool) -> bytes:
    """Return the body of a reply in which one field is another.

    Args:
        rng: Draws what is changed.
        reply: The right one.
        arrays: Whether arrays may be changed, too.
    """
    tree = msgspec.msgpack.decode(msgspec.msgpack.encode(reply))
    if isinstance(reply, wire.Answer) and rng.random() < 0.97:
        tree["value"] = _changed(rng, tree["value"], arrays)
    else:
        field = rng.choice(list(tree))
        tree[field] = _odd(rng, arrays)
    return msgspec.msgpack.encode(tree)


def _changed(rng: random.Random, tree: Any, arrays: bool) -> Any:
    """Return a value with one part replaced, removed, doubled or added."""
    if isinstance(tree, dict) and tree.get("type") == "array":
        return _changed_array(rng, tree) if arrays else tree
    if isinstance(tree, dict) and tree.get("type") == "ref":
        part = rng.choice(["id", "kind", "type_name", ""])
        other = {
            "id": rng.choice([tree["id"] + 1, 0, -1]),
            "kind": rng.choice(["object", "model", "layer", "function"]),
        }
        return tree | {part: other.get(part, _odd(rng, arrays))} if part else _odd(rng, arrays)
    if isinstance(tree, dict) and tree.get("type") in ("items", "table") and tree["items"] and rng.random() < 0.9:
        return tree | {"items": _changed_part(rng, tree["items"], arrays)}
    if isinstance(tree, (int, float)) and not isinstance(tree, bool) and rng.random() < 0.5:
        return rng.choice([tree + 1, tree - 1, -tree, tree * 1000, float(tree), tree // 2])
    return _odd(rng, arrays)


def _changed_part(rng: random.Random, parts: Any, arrays: bool) -> Any:
    if isinstance(parts, list):
        place, times = rng.randrange(len(parts)), rng.choice((0, 1, 1, 1, 1, 2, 40))
        return [*parts[:place], *[_changed(rng, parts[place], arrays)] * times, *parts[place + 1 :]]
    name = rng.choice(list(parts))
    rest = {key: part for key, part in parts.items() if key != name}
    fate = rng.random()
    return rest if fate < 0.1 else rest | {"other" if fate < 0.15 else name: _changed(rng, parts[name], arrays)}


def _changed_array(rng: random.Random, tree: Any) -> Any:
    array = wire.unpack_array(msgspec.convert(tree, wire.Array))
    number = np.asarray(array.astype(np.float64) if array.dtype.kind == "f" else array)
    one_off = number.copy()
    if one_off.size:
        values = [0, 1e30, np.nan, np.inf] if one_off.dtype.kind == "f" else [0, 1]
        one_off.flat[rng.randrange(one_off.size)] = rng.choice(values)
    choices = [
        one_off, number[..., :-1] if number.ndim else number, number[None], number.ravel(), number.T, number * 1.01,
        number[:0] if number.ndim else number, np.concatenate([np.atleast_1d(number)] * 2), number * 0 + 1e300,
        number.astype(np.float16), number.astype(bool), np.nan_to_num(number).astype(np.int64), np.zeros_like(number),
    ]  # fmt: skip
    chosen = rng.choice([*choices, None, None])
    if chosen is None:
        return _odd(rng, True)
    return msgspec.to_builtins(wire.pack_array(np.asarray(chosen)), builtin_types=(bytes,))


def _odd(rng: random.Random, arrays: bool) -> Any:
    """Return something that was not asked for."""
    fate = rng.random()
    if fate < 0.3 and arrays:
        return msgspec.to_builtins(wire.pack_array(rng.choice(ODD_ARRAYS)), builtin_types=(bytes,))
    if fate < 0.4:
        return {"type": "items", "items": rng.choices(ODD_VALUES, k=rng.choice((0, 1, 2, 5)))}
    if fate < 0.5:
        return {"type": "table", "items": {name: rng.choice(ODD_VALUES) for name in ("loss", "weights")}}
    if fate < 0.55:
        return {"type": "ref", "id": rng.choice((0, 7, 1 << 62)), "kind": "layer", "type_name": "Dense"}
    return rng.choice(ODD_VALUES)


@contextmanager
def little_memory(mib: int = MOST_MIB) -> Iterator[None]:
    """Allow this process so much more memory than it has now."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (mib << 20), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def fuzz_replies(replay: Replay, count: int, seed: int) -> Counter[str]:
    """Change one field of one reply after another and return how many ended how.

    Raises:
        AssertionError: See `Replay.try_lie`; with what draws the same change again.
    """
    outcomes: Counter[str] = Counter()
    for number in range(count):
        try:
            outcomes[replay.try_lie(random.Random(f"{seed} {number}"))] += 1  # noqa: S311 - reproducible, not secret
        except AssertionError as error:
            error.add_note(f"seed {seed}, reply {number}")
            raise
    return outcomes


@contextmanager
def replays(folder: Path) -> Iterator[Replay]:
    """Record the replies of right work and collect the checks to replay them to.

    Args:
        folder: An empty one, for a course.
    """
    assignment = load_assignment(ROOT, "vit")
    recording = record(folder, assignment)
    with collected_checks(assignment.tasks) as checks:
        yield Replay(recording, checks, assignment)
