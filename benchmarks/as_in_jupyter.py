"""Do answers run in grading as in Jupyter? Each is run in a real kernel and by the grader, and both are compared.

    python -m benchmarks.as_in_jupyter [KIND…]

The answers are the lab's own, each with something before or behind it that students write. The kernel runs the given
cells above the answer in grading's sizes, then the answer; public tests and plots that define nothing are left out. The
same is asked of the grader without any hidden check: whether the cell stops, with which exception, and in which line.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from autograder.course.assignment import MODULE, Assignment
from autograder.course.cell_code.names import end_of_definitions, names_of
from autograder.course.cells import Cell, flag, grade_id_of, load_cells, text_of
from autograder.course.course import read_course
from autograder.course.submission import Snapshot
from autograder.errors import CellStopped
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from benchmarks.measuring import table

ROOT = Path(__file__).parents[1]
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
SECONDS = 10
"""What one cell may take in the kernel."""
ANSWERS = {
    "data_split_answer": "data_split",
    "preprocessing_answer": "preprocessing",
    "training_answer": "training",
    "carbon_answer": "carbon",
    "pretrained_answer": "pretrained",
}
"""The answers, without the large model, and the task that each belongs to."""


@dataclass(frozen=True)
class Kind:
    """Something that students write around an answer.

    Attributes:
        before: Text before the answer.
        behind: Text behind it.
        differs: Why the grader does otherwise than the kernel; empty where it does not.
    """

    before: str = ""
    behind: str = ""
    differs: str = ""


KINDS = {
    "as it is": Kind(),
    "timed": Kind("%%time\n"),
    "captured": Kind("%%capture shown\n"),
    "a line timed": Kind("%time numbers = [1, 2]\nassert numbers\n"),
    "with names of given cells": Kind("print(os.sep, class_names, rng, sigmas, gpus)\n"),
    "displayed": Kind("display(num_classes)\nget_ipython()\n"),
    "a shell command": Kind("!echo hello\n"),
    "an undefined name first": Kind("print(undefined_name)\n"),
    "an undefined name last": Kind(behind="\nprint(undefined_name)\n"),
    "a picture that is missing": Kind(behind='\nopen("my_photo.jpg")\n'),
    "a package that is missing": Kind("import nothing_of_the_kind\n", differs="only its uses fail"),
    "a question to a person": Kind('name = input("Who? ")\n', differs="it says that nobody types"),
}


@dataclass(frozen=True)
class End:
    """How a cell ended.

    Attributes:
        exception: Kind of what it raised; empty if nothing.
        line: Where.
        rest: The last line of what the cell must define, if something follows: the grader notes what goes wrong there,
            or leaves it out.
    """

    exception: str = ""
    line: int = 0
    rest: int = 0

    def agrees(self, kernel: End) -> bool:
        """Whether the grader, whose end this is, ended as the kernel."""
        if self.rest:
            return not kernel.exception or kernel.line > self.rest
        return (self.exception, self.line) == (kernel.exception, kernel.line)


def answer_with(kind: Kind, text: str) -> str:
    """Return an answer with what stands around it."""
    return f"{kind.before}{text}{kind.behind}"


class Kernel:
    """A Jupyter kernel in which given cells were run; answers leave nothing behind in it.

    Args:
        assignment: The lab.
        folder: Where it runs: with the module and the given modules.
    """

    def __init__(self, assignment: Assignment, folder: Path) -> None:
        self._reference = Reference.read(assignment)
        self._cells = [cell for cell in load_cells(self._reference.source) if cell["cell_type"] == "code"]
        notebook = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []})
        self._client = NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        )
        self._ran = 0

    @contextmanager
    def started(self) -> Iterator[Kernel]:
        """Run the kernel for the block."""
        with self._client.setup_kernel():
            yield self

    def run(self, answer: str, source: str) -> End:
        """Run the cells above an answer, then this text in its place, and return how that ended."""
        place = next(number for number, cell in enumerate(self._cells) if grade_id_of(cell) == answer)
        for cell in self._cells[self._ran : place]:
            for text in self._texts_of(cell):
                self._execute(text)
        self._ran = max(self._ran, place)
        self._execute("_names_before = dict(globals())")
        end = self._execute(source)
        self._execute("[globals().pop(name) for name in set(globals()) - set(_names_before)]")
        self._execute("globals().update(_names_before)")
        return end

    def _texts_of(self, cell: Cell) -> Iterator[str]:
        """Yield what is run for one cell above an answer."""
        name, text = grade_id_of(cell), text_of(cell)
        if name == "vit_model_answer":
            yield self._reference.quick_source("vit")
        elif flag(cell, "solution") or (names_of(text).makes and not name.endswith("_public_test")):
            yield text
        if name == "parameters":
            yield self._reference.parameters

    def _execute(self, source: str) -> End:
        """Run a text and return how it ended; the line is that of the innermost frame in it."""
        cell = nbformat.v4.new_code_cell(source)
        self._client.nb.cells = [cell]
        try:
            self._client.execute_cell(cell, 0, store_history=False)
        except CellTimeoutError:
            return End("CellTimeoutError")
        except CellExecutionError as error:  # not from the cell's outputs, which may come later
            return End(error.ename, _line_of(error.traceback))
        return End()


def _line_of(traceback: str) -> int:
    """Return the line of the cell that IPython's traceback points to."""
    for line in traceback.split("\n"):
        plain = _COLOUR.sub("", line)
        if plain.startswith("Cell ") and ", line " in plain:
            return int(plain.partition(", line ")[2].split()[0].rstrip(",:"))
        if plain.lstrip("-").startswith("> "):
            return int(plain.lstrip("->").split()[0])
    return 0


class Graders:
    """Runs answers as grading does, without any check.

    Args:
        assignment: The lab.
        zygote: To fork student processes from.
    """

    def __init__(self, assignment: Assignment, zygote: Zygote) -> None:
        self._assignment = assignment
        self._zygote = zygote
        self._reference = Reference.read(assignment)
        self._module = (assignment.solution_dir / f"{MODULE}.py").read_bytes()

    def run(self, answer: str, source: str) -> End:
        """Run an answer and what it needs, and return how that ended."""
        notebook = json.loads(self._reference.source)
        for cell in notebook["cells"]:
            if grade_id_of(cell) == answer:
                cell["source"] = source
        name = f"{self._assignment.name}.ipynb"
        snapshot = Snapshot({f"{MODULE}.py": self._module, name: json.dumps(notebook).encode()}, name)
        settings = read_course(self._assignment.root).settings
        case = GradingCase.begin(settings, self._assignment, self._reference, self._zygote, snapshot)
        with LiveSubmission(case) as live:
            try:
                live.student(self._assignment.task(ANSWERS[answer])).answer_with()
            except CellStopped as stopped:
                return End(stopped.exception, stopped.line)
        wanted = self._reference.wanted_of(answer)
        end = end_of_definitions(source, wanted, functions=self._reference.defines_functions(answer))
        goes_on = any(line.strip() and not line.lstrip().startswith("#") for line in source.split("\n")[end:])
        return End(rest=end if goes_on else 0)


@contextmanager
def lab_folder(assignment: Assignment) -> Iterator[Path]:
    """Yield a folder with what a student has beside the notebook; no model comes from a network."""
    os.environ.update({"HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"})
    with TemporaryDirectory() as folder:
        for path in (assignment.solution_dir / f"{MODULE}.py", *assignment.given_modules):
            (Path(folder) / path.name).write_bytes(path.read_bytes())
        yield Path(folder)


def compared(assignment: Assignment, cases: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, End, End]]:
    """Yield answer, kind, and how both ended.

    Args:
        assignment: The lab.
        cases: Answers and kinds.
    """
    texts = Reference.read(assignment).answers
    with Zygote(threads=1) as zygote, lab_folder(assignment) as folder:
        graders = Graders(assignment, zygote)
        with Kernel(assignment, folder).started() as kernel:
            for answer in ANSWERS:
                for kind in (kind for other, kind in cases if other == answer):
                    source = answer_with(KINDS[kind], texts[answer])
                    yield answer, kind, kernel.run(answer, source), graders.run(answer, source)


def main() -> None:
    """Compare all answers, or those of some kinds, and print a table."""
    assignment = read_course(ROOT).assignment("vit")
    kinds = sys.argv[1:] or list(KINDS)
    rows = []
    for answer, kind, kernel, grader in compared(assignment, [(answer, kind) for answer in ANSWERS for kind in kinds]):
        same = "yes" if grader.agrees(kernel) else KINDS[kind].differs or "NO"
        rows.append((answer, kind, f"{kernel.exception} {kernel.line}", f"{grader.exception} {grader.line}", same))
        sys.stderr.write(f"{len(rows)}: {rows[-1]}\n")
    sys.stdout.write(table(("answer", "kind", "kernel", "grader", "agree"), rows))


if __name__ == "__main__":
    main()
