"""Cases: folders that each hold one changed file of the solved lab, and `expect.json`: how it must be judged.

`python -m tests.submissions.cases FOLDER [NAME…]` grades those whose names begin so, and says which are judged
otherwise. A file is `utilities.py`, the whole module, or `<grade_id>.py`, that answer of the notebook; what is not
there is as in the solution. `expect.json` holds `kind` (`right`: full marks in every task; `wrong`: points lost in
`task` alone) and `task`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.audit.corpus import Variant
from autograder.course.assignment import MODULE
from autograder.course.course import read_course
from autograder.course.submission import Snapshot
from autograder.grading.grader import Grader
from autograder.results import SubmissionResult

from .corpus import ROOT, read_corpus


@dataclass(frozen=True)
class Case:
    """One case as a submission.

    Attributes:
        name: Of its folder.
        right: Whether it must get full marks; otherwise it must lose points in `task` alone.
    """

    name: str
    right: bool
    task: str
    snapshot: Snapshot

    def objections(self, result: SubmissionResult) -> list[str]:
        """Return what is wrong with the way it was judged."""
        lost = {task.id: task.max_score - task.score for task in result.tasks if task.score < task.max_score}
        wanted = set() if self.right else {self.task}
        missing = [f"nothing is lost in {task}" for task in wanted - lost.keys()]
        return missing + [f"{points:g} lost in {task}" for task, points in lost.items() if task not in wanted]


def read_cases(folder: Path) -> Iterator[Case]:
    """Yield the cases of a folder that say what is right."""
    for path in sorted(folder.glob("*/expect.json")):
        expected = json.loads(path.read_text("utf-8"))
        yield Case(path.parent.name, expected["kind"] == "right", expected["task"], _submission(path.parent))


def _submission(folder: Path) -> Snapshot:
    """Return the solved lab with this folder's files in it."""
    corpus, variant = read_corpus(), Variant(slug=folder.name, right=True, base=folder.name)
    module = folder / f"{MODULE}.py"
    text = module.read_text("utf-8") if module.exists() else corpus.modules[""]
    changed = replace(corpus, modules={folder.name: text})
    for path in sorted(folder.glob("*.py")):
        if path != module:
            cell = replace(variant, cell=path.stem, text=path.read_text("utf-8"))
            changed = replace(changed, notebook=changed.notebook_of(cell))
    return changed.submission(variant)


def main() -> None:
    """Grade cases and print how each is judged."""
    folder, *names = sys.argv[1:]
    course = read_course(ROOT)
    with Grader(course, course.assignment("vit"), threads=1) as grader:
        for case in read_cases(Path(folder)):
            if case.name.startswith(tuple(names) or ""):
                result = grader.grade(case.snapshot)
                sys.stdout.write(f"{case.name}: {'; '.join(case.objections(result)) or 'as expected'}\n")
                for check in (check for task in result.tasks for check in task.checks if check.outcome != "passed"):
                    sys.stdout.write(f"    {check.id} {check.outcome} {check.misconception}: {check.message}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
