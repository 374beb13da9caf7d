"""Error carried forward: tasks that build on a wrong part are checked again with a stand-in for it.

A process with stand-ins holds reference code, which a submission can find and would like to take home. So the
submission's own process has ended for good before one starts, and nothing that it returns, raises or prints is shown.
What a student reads is the message of the own process where the very same came there, too, in a part of theirs that
still stands, or else a sentence out of a closed list: those that stand in the texts of the checks, word for word, and
the kinds of common exceptions. Beside it stands what the text of the student's module tells without being run: names
that nobody defines.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from autograder import checking
from autograder.course.assignment import MODULE, Task
from autograder.errors import file_or_cell
from autograder.grading.check_runner import CheckEnding, Checks
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import StandIns
from autograder.grading.undefined_names import lines_of, undefined_names
from autograder.results import CheckResult

STILL_WRONG = "With a correct earlier part in place of yours, this is still not right."
OBSERVED = {
    "nothing_returned": "Nothing (None) comes back, as where a `return` is missing.",
    "wrong_shape": "The shape is not the right one.",
    "not_finite": "Some values are not finite (inf or nan).",
    "only_zeros": "All values are zero.",
    "wrong_number_of_weights": "The number of weights is not the right one.",
    "wrong_parameter_count": "The number of parameters is not the right one.",
}
"""What is observably wrong, where the check's own message also tells values."""
KINDS = frozenset(
    "AssertionError AttributeError FileNotFoundError ImportError IndexError InvalidArgumentError KeyError NameError "
    "NotImplementedError OSError RecursionError SyntaxError TypeError UnboundLocalError ValueError "
    "ZeroDivisionError".split()
)
"""Exceptions of which the kind is told. So few tell no more of a stand-in than which check fails does."""
MOST_NAMES = 3
"""Of a task's parts, that are told beside a reason that is withheld."""
BROKEN = "The check could not be finished."


class StandInRuns:
    """Runs checks of one submission with stand-ins. Close it, or use it as a context manager.

    Tasks come in the assignment's order, so the parts to stand in for only become more: as long as a process has all
    that a task needs, it is used again.

    Args:
        case: The submission and all that grading needs; no process of its own may live any more.
        checks: The hidden checks.
        seed: Makes the checks' inputs.
    """

    def __init__(self, case: GradingCase, checks: Checks, seed: bytes) -> None:
        self._case = case
        self._checks = checks
        self._seed = seed
        self._closed_list = sentences_of(case.assignment.checks_dir)
        self._wrong: tuple[Task, ...] = ()
        self._choices: tuple[StandIns, ...] = ()
        self._live: dict[StandIns, LiveSubmission] = {}
        self._module = (case.snapshot.module_bytes or b"").decode("utf-8", "replace")

    def __enter__(self) -> StandInRuns:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for live in self._live.values():
            live.close()
        self._live.clear()

    def run(self, task: Task, wrong: Sequence[Task], own: tuple[CheckEnding, ...] = ()) -> tuple[CheckResult, ...]:
        """Return the checks of a task, each as well as it went.

        Args:
            task: The task.
            wrong: Earlier tasks whose parts are replaced.
            own: How they ended in the submission's own process, if they were run there: those that passed stay so.
        """
        self._stand_in_for(wrong)
        alone = {ending.result.id: ending for ending in own}
        best, tried = {name: ending.result for name, ending in alone.items()}, set[str]()
        comparable = {name: ending for name, ending in alone.items() if not self._is_in_a_replaced_part(ending)}
        known = self._closed_list | {ending.result.message for ending in own}
        for choice in self._choices:
            passed = frozenset(name for name, check in best.items() if check.outcome == "passed")
            if best and len(passed) == len(best):
                break
            for ending in self._checks.endings(task, self._submission(choice).student(task), self._seed, passed):
                name = ending.result.id
                if ending.result.outcome == "passed" or name not in tried:
                    shown = withheld(ending, comparable.get(name), known, self._part_of(ending, task))
                    best[name] = self._with_what_the_text_tells(shown, task)
                    tried.add(name)
        return tuple(best.values())

    def _is_in_a_replaced_part(self, own: CheckEnding) -> bool:
        """Whether a check ended in a part that a stand-in has replaced: its reason is no reason any more."""
        return self._stands_in(own, self._choices[0].cells, self._choices[0].names)

    def _part_of(self, ending: CheckEnding, task: Task) -> str:
        """Return which of the task's own parts a check ended in, such as " in `mlp`"; empty if it is none of them."""
        names = [*task.provides, *task.answers]
        return next((f" in `{name}`" for name in names if self._stands_in(ending, {name}, {name})), "")

    def _stands_in(self, ending: CheckEnding, cells: Collection[str], names: Collection[str]) -> bool:
        """Whether a check ended in one of these cells, or in one of these parts of the module."""
        where = file_or_cell(ending.place)
        return where in cells or (where == f"{MODULE}.py" and ending.line in lines_of(self._module, frozenset(names)))

    def without_running(self, own: tuple[CheckEnding, ...]) -> tuple[CheckResult, ...]:
        """Return the checks of a task that would end with stand-ins as they did in the submission's own process."""
        return tuple(withheld(ending, ending, self._closed_list) for ending in own)

    def _with_what_the_text_tells(self, check: CheckResult, task: Task) -> CheckResult:
        """Return a check whose reason is withheld with the names of the task's parts that nobody defines."""
        if not check.message.startswith(STILL_WRONG):
            return check
        reference = self._case.reference
        found = undefined_names(self._module, reference.helpers | reference.parts)
        told = [pair for part in task.provides for pair in found.get(part, ())][:MOST_NAMES]
        sentences = [f"`{name}` ({MODULE}.py, line {line}) is not defined anywhere." for name, line in told]
        return msgspec.structs.replace(check, message=" ".join([check.message, *sentences]))

    def _submission(self, choice: StandIns) -> LiveSubmission:
        if choice not in self._live:
            self._live[choice] = LiveSubmission(self._case, choice)
        return self._live[choice]

    def _stand_in_for(self, wrong: Sequence[Task]) -> None:
        """Choose stand-ins for these tasks and those before; end processes that have too few."""
        if not set(wrong) <= set(self._wrong):
            self.close()
            self._wrong = tuple(dict.fromkeys([*self._wrong, *wrong]))
            self._choices = self._case.reference.stand_ins_for(self._wrong)


def withheld(ending: CheckEnding, own: CheckEnding | None, known: frozenset[str], part: str = "") -> CheckResult:
    """Return a check that was run with stand-ins as it may be shown.

    Args:
        ending: How it ended there.
        own: How it ended in the submission's own process, if it was run there.
        known: Sentences and slugs that may be shown: nobody but the checks' author chose them, or the student has
            read them in this task.
        part: Words for the one of the task's own parts that it ended in; empty if it is none of them.
    """
    check = ending.result
    slugs = tuple(slug for slug in check.misconceptions if slug in known)
    if check.outcome == "passed":
        message = ""
    elif own is not None and own.result.outcome == check.outcome and _is_the_same(own, ending):
        message = own.result.message
    elif check.outcome == "error":
        message = BROKEN
    elif check.message in known or all(_is_made_of(sentence, known) for sentence in ending.sentences):
        message = check.message
    else:
        seen = [OBSERVED[slug] for slug in slugs if slug in OBSERVED]
        raised = [f"Your code raised {ending.exception}{part}."] if ending.exception in KINDS else []
        message = " ".join([STILL_WRONG, *seen, *raised])
    return msgspec.structs.replace(check, message=message, misconception="+".join(slugs) or None, pictures=())


def _is_made_of(sentence: str, known: frozenset[str]) -> bool:
    """Whether a sentence is a known one, or one known text after another."""
    if sentence in known:
        return True
    return any(sentence.startswith(text) and sentence.removeprefix(text) in known for text in known if text)


def _is_the_same(own: CheckEnding, other: CheckEnding) -> bool:
    """Whether a check ended twice with the same message, or with an exception of the same kind."""
    return own.result.message == other.result.message or own.exception == other.exception != ""


@functools.cache
def sentences_of(checks_dir: Path) -> frozenset[str]:
    """Return every constant text in the checks of an assignment and in what they are written with."""
    rooms = (checks_dir, *map(Path, checking.__path__))
    texts = (path.read_text("utf-8") for room in rooms for path in sorted(room.rglob("*.py")))
    return frozenset(text for source in texts for text in _constants(source))


def _constants(source: str) -> set[str]:
    """Return the constant texts of a module; pieces of texts that are put together are not among them."""
    tree = ast.parse(source)
    pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in pieces)
    return {constant.value for constant in constants if isinstance(constant.value, str)}
