"""Find pairs of students whose own work is alike.

Only what students write is compared: their module and the answers in their notebook. Whatever also stands in the
release is ignored. What many students write alike, as in any small exercise, counts little; what two of them share
and nobody else has counts in full. A high figure is a reason to read both submissions, never proof of anything.

Reference:
    The weight of a fingerprint is its inverse document frequency. See `fingerprints` for how those are made.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from autograder.collecting.records import Records
from autograder.course.assignment import MODULE, Assignment
from autograder.course.cells import Cell, flag, grade_id_of, load_cells, read_cells, text_of
from autograder.course.course import Course
from autograder.course.submission import Snapshot, read_submission
from autograder.errors import SubmissionUnreadable
from autograder.gradebook.record_stamp import recorded_snapshot
from autograder.progress import ProgressListener, no_progress
from autograder.reports.fingerprints import Fingerprints, Part, Passage, TextKind, fingerprints, joined, run_hashes

FEWEST = 20
"""Fingerprints that a student needs at least to be compared: less is no work of one's own."""
OTHERS = 10
"""Imagined students without a fingerprint: with them, two who share one are few even in a small class."""
LONGEST = 300_000
"""Of a module, and of all answers together, what is compared: ten times what anybody writes."""
LOWEST = 0.4
"""Similarity below which a pair is not worth showing."""


@dataclass(frozen=True)
class Pair:
    """Two students whose work is alike.

    Attributes:
        similarity: Weighted share of the smaller one's fingerprints that the other one has too, 0 to 1.
        shared: How many fingerprints they share.
        rare: How many of those nobody else has.
        first_passages: Where they stand in the first one's files.
        second_passages: Where they stand in the second one's files.
    """

    first: str
    second: str
    similarity: float
    shared: int
    rare: int
    first_passages: tuple[Passage, ...]
    second_passages: tuple[Passage, ...]


def submissions_to_compare(
    course: Course, assignment: Assignment, folders: Mapping[str, Path], *, graded: bool
) -> Iterator[tuple[str, Snapshot]]:
    """Yield each student's submission, but for those that cannot be read; of a group the first member's.

    Args:
        course: The course.
        assignment: The assignment.
        folders: Student to submission folder.
        graded: Whether what was graded and recorded comes before what a folder holds now.
    """
    groups = Records(course, assignment.name).groups()
    seen: set[tuple[tuple[str, str], str]] = set()
    for student, folder in folders.items():
        snapshot = recorded_snapshot(course, assignment, student) if graded else None
        if snapshot is None:
            try:
                snapshot = read_submission(folder, assignment.name, course.settings)
            except SubmissionUnreadable:
                continue
        if student in groups:
            shared = groups[student], snapshot.digest
            if shared in seen:
                continue
            seen.add(shared)
        yield student, snapshot


def similar_pairs(
    assignment: Assignment,
    submissions: Iterable[tuple[str, Snapshot]],
    lowest: float = LOWEST,
    progress: ProgressListener = no_progress,
) -> list[Pair]:
    """Return the pairs of a class that are alike, the most alike first.

    Args:
        assignment: The assignment; its built notebook and its release say what was given.
        submissions: Students and what they handed in, such as from `submissions_to_compare`.
        lowest: Least similarity to return.
        progress: Receives progress updates.
    """
    works = {student: student_parts(assignment, snapshot) for student, snapshot in submissions}
    return compare(works, given_parts(assignment), lowest, progress)


def compare(
    works: Mapping[str, Sequence[Part]],
    given: Iterable[Part] = (),
    lowest: float = LOWEST,
    progress: ProgressListener = no_progress,
) -> list[Pair]:
    """Return the pairs that are alike, the most alike first.

    Args:
        works: What each student wrote.
        given: What all of them were given.
        lowest: Least similarity to return.
        progress: Receives progress updates.
    """
    given_runs = run_hashes(given)
    prints: dict[str, Fingerprints] = {}
    for number, (student, parts) in enumerate(works.items()):
        progress(number, len(works), student)
        prints[student] = fingerprints(parts, given_runs)
    progress(len(works), len(works), "pairs")
    comparable = {student: found for student, found in prints.items() if len(found) >= FEWEST}
    together = _ClassPrints(comparable)
    pairs = (together.pair(first, second, lowest) for first, second in combinations(sorted(comparable), 2))
    alike = [pair for pair in pairs if pair is not None]
    return sorted(alike, key=lambda pair: (-pair.similarity, -pair.rare, pair.first, pair.second))


class _ClassPrints:
    """The fingerprints of a class, each weighted by how few students have it.

    Args:
        prints: Each student's fingerprints.
    """

    def __init__(self, prints: Mapping[str, Fingerprints]) -> None:
        self._prints = prints
        self._owners = Counter(fingerprint for found in prints.values() for fingerprint in found)
        everyone = len(prints) + OTHERS
        # much if few have it, but never nothing, however small the class
        self._weights = {fingerprint: math.log(everyone / count) ** 2 for fingerprint, count in self._owners.items()}
        self._sums = {student: self._weight(found) for student, found in prints.items()}

    def pair(self, first: str, second: str, lowest: float) -> Pair | None:
        """Compare two students; None if they are less alike than `lowest`, or share nothing."""
        ours, theirs = self._prints[first], self._prints[second]
        shared = ours.keys() & theirs.keys()
        similarity = self._weight(shared) / min(self._sums[first], self._sums[second])
        if not shared or similarity < lowest:
            return None
        return Pair(
            first=first,
            second=second,
            similarity=round(similarity, 4),
            shared=len(shared),
            rare=sum(self._owners[fingerprint] == 2 for fingerprint in shared),
            first_passages=joined(passage for fingerprint in shared for passage in ours[fingerprint]),
            second_passages=joined(passage for fingerprint in shared for passage in theirs[fingerprint]),
        )

    def _weight(self, fingerprints: Iterable[int]) -> float:
        return sum(self._weights[fingerprint] for fingerprint in fingerprints)


def student_parts(assignment: Assignment, snapshot: Snapshot) -> list[Part]:
    """Return what a student wrote: the module, and the answers of the notebook by grade_id."""
    built = load_cells(assignment.notebook_path.read_bytes())
    kinds = {grade_id_of(cell): _kind(cell) for cell in built if flag(cell, "solution")}
    module = (snapshot.module_bytes or b"")[:LONGEST].decode("utf-8", "replace")
    parts, left = [Part(f"{MODULE}.py", "code", module)], LONGEST
    for answer in read_cells(snapshot.notebook_bytes, built)[0]:
        if answer.grade_id in kinds:
            parts.append(Part(answer.grade_id, kinds[answer.grade_id], answer.source[:left]))
            left = max(0, left - len(answer.source))
    return parts


def given_parts(assignment: Assignment) -> list[Part]:
    """Return what all students were given: the released modules and notebook, or those built for the release."""
    parts = [Part(path.name, "code", path.read_text("utf-8")) for path in assignment.given_modules]
    for folder in (assignment.source_dir, assignment.release_dir):
        module, notebook = folder / f"{MODULE}.py", folder / f"{assignment.name}.ipynb"
        if module.is_file():
            parts.append(Part(module.name, "code", module.read_text("utf-8")))
        if notebook.is_file():
            released = folder == assignment.release_dir
            # the built notebook holds the solved cells, which nobody was given
            cells = [cell for cell in load_cells(notebook.read_bytes()) if released or not flag(cell, "solution")]
            parts += [Part("given", _kind(cell), text_of(cell)) for cell in cells]
    return parts


def _kind(cell: Cell) -> TextKind:
    return "code" if cell["cell_type"] == "code" else "words"
