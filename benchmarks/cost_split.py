"""Where the cpu time of grading one submission goes: the checks' own TensorFlow work, and everything else.

`python -m benchmarks.cost_split [--repeats 7] [--submission FOLDER] [--json FILE]`

First a submission is graded as usual: a zygote, confined student processes, pytest, the oracle. The kernel tells the
cpu time of the grader process, and of the zygote with all that it forks. Then the same questions are answered by the
same code (`student_side.server`) in one warm process without grader and wall: that is the checks' own TensorFlow work.
The two take turns, since a processor's speed drifts by more than the difference. The worker's start, which a batch
pays once, is shown beside it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from autograder.course.assignment import Assignment
from autograder.course.course import Course, read_course
from autograder.course.submission import Snapshot
from autograder.grading.grader import Grader
from autograder.grading.result_store import read_for_check
from benchmarks.measuring import ROOT, build_course, machine, median, say, table, write_figures
from benchmarks.replay import Asked, Took, Warm, medians, record, together

TICKS = os.sysconf("SC_CLK_TCK")
THREADS = 1
"""TensorFlow's threads in a student process, as when several submissions are graded at once."""
BATCH = 40
_TIMES = slice(11, 15)  # utime, stime, cutime, cstime of /proc/<pid>/stat behind the name


@dataclass(frozen=True)
class Spent:
    """Cpu seconds, or a difference of two such readings.

    Attributes:
        grader: Of the grader process.
        student: Of the zygote, the watchdogs and the student processes.
        wall: Seconds on the clock.
    """

    grader: float
    student: float
    wall: float

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.grader - other.grader, self.student - other.student, self.wall - other.wall)

    @property
    def cpu(self) -> float:
        """Of all processes."""
        return self.grader + self.student


def read_spent() -> Spent:
    """Return what this process and its descendants, dead ones included, have used so far."""
    below = psutil.Process().children(recursive=True)
    return Spent(time.process_time(), sum(_with_reaped(child.pid) for child in below), time.perf_counter())


def _with_reaped(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return sum(map(int, fields[_TIMES])) / TICKS
    return 0.0


@dataclass(frozen=True)
class Split:
    """The cpu seconds of one submission.

    Attributes:
        total: All processes together.
        grader: The grader process: pytest, the oracle, comparing, encoding.
        student: Zygote, watchdogs and student processes.
        tensorflow: The same questions in a warm process: the checks' own work.
        wall: Seconds on the clock.
        start: What a worker's first submission takes in addition: the imports of the zygote and the grader.
        processes: Student processes that were started.
    """

    total: float
    grader: float
    student: float
    tensorflow: float
    wall: float
    start: float
    processes: int

    @property
    def overhead(self) -> float:
        """Share of the cpu time, in percent, that is not the checks' own TensorFlow work."""
        return 100 * (1 - self.tensorflow / self.total)

    @property
    def overhead_in_batch(self) -> float:
        """The same in a batch, with the worker's share of its start."""
        return 100 * (1 - self.tensorflow / (self.total + self.start / BATCH))


@dataclass(frozen=True)
class Row:
    """One line of a table: questions, and their cpu seconds in a warm process."""

    name: str
    questions: int
    tensorflow: float


def rows_by(key: Callable[[Asked], str], asked: Sequence[Asked], took: Sequence[Took]) -> list[Row]:
    """Return one row for each value of `key`, the most expensive first."""
    groups: dict[str, list[Took]] = defaultdict(list)
    for question, spent in zip(asked, took, strict=True):
        groups[key(question)].append(spent)
    rows = [Row(name, len(values), together(values).cpu) for name, values in groups.items()]
    return sorted(rows, key=lambda row: -row.tensorflow)


def grade_once(grader: Grader, snapshot: Snapshot) -> Spent:
    """Grade one submission and return what it took."""
    before = read_spent()
    grader.grade(snapshot)
    return read_spent() - before


def measure(
    course: Course, assignment: Assignment, snapshot: Snapshot, repeats: int
) -> tuple[Split, list[Asked], list[Took]]:
    """Grade a submission in one warm worker and answer its questions in a warm process, in turns.

    Returns:
        The split in medians; each question; what it takes in a warm process.
    """
    before = read_spent()
    with Grader(course, assignment, threads=THREADS) as grader:
        grade_once(grader, snapshot)  # waits for the zygote, and warms this process up
        first = read_spent() - before
        recording = record(grader, snapshot, assignment, THREADS)
        with Warm(recording) as warm:
            turns = [(grade_once(grader, snapshot), warm.answer_all()) for _ in range(repeats)]
    runs, took = [run for run, _ in turns], medians(answers for _, answers in turns)
    total = median(run.cpu for run in runs)
    split = Split(
        total=total,
        grader=median(run.grader for run in runs),
        student=median(run.student for run in runs),
        tensorflow=median(together(answers).cpu for _, answers in turns),
        wall=median(run.wall for run in runs),
        start=round(first.cpu - total, 4),
        processes=len({question.process for question in recording.asked}),
    )
    return split, recording.asked, took


def rendered(split: Split) -> str:
    """Return the table of the whole."""
    parts = (
        ("the checks' own TensorFlow work, warm", split.tensorflow),
        ("student processes beyond that: forks, walls, first uses", split.student - split.tensorflow),
        ("grader process: pytest, oracle, comparing", split.grader),
    )
    rows = [(name, f"{value:.2f}", f"{100 * value / split.total:.1f} %") for name, value in parts]
    rows.append(("together", f"{split.total:.2f}", "100 %"))
    return table(("one submission", "cpu s", "share"), rows)


def rendered_rows(head: str, rows: Iterable[Row]) -> str:
    """Return the table of tasks, or of kinds of questions."""
    return table(
        (head, "questions", "cpu s, warm"), [(row.name, row.questions, f"{row.tensorflow:.3f}") for row in rows]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_split", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7, metavar="N")
    parser.add_argument("--submission", type=Path, default=ROOT / "solutions" / "vit", metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        course = read_course(build_course(Path(folder) / "course"))
        assignment = course.assignment("vit")
        snapshot = read_for_check(options.submission, assignment.name, course.settings)
        split, asked, took = measure(course, assignment, snapshot, options.repeats)
    tasks = rows_by(lambda question: question.task, asked, took)
    kinds = rows_by(lambda question: question.kind, asked, took)
    say(rendered(split))
    say(f"\nEverything but the checks' own TensorFlow work: {split.overhead:.1f} %")
    say(
        f"with the worker's start, {split.start:.1f} cpu s, shared by {BATCH} submissions: "
        f"{split.overhead_in_batch:.1f} %"
    )
    say(f"on the clock: {split.wall:.2f} s in {split.processes} student process(es), {len(asked)} questions\n")
    say(rendered_rows("task", tasks) + "\n\n" + rendered_rows("question", kinds))
    shares = {"overhead_percent": split.overhead, "overhead_in_batch_percent": split.overhead_in_batch}
    lists = {"tasks": [asdict(row) for row in tasks], "questions": [asdict(row) for row in kinds]}
    write_figures(options.json, {"machine": machine()} | asdict(split) | shares | lists)


if __name__ == "__main__":
    main()
