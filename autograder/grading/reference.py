"""The instructor's texts that grading needs, and the stand-ins that are cut out of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from autograder.course.assignment import MODULE, Assignment, Task
from autograder.course.cell_code.names import defines_functions, end_of_definitions, names_of
from autograder.course.cell_code.traces import leaves_traces
from autograder.course.grading_notebook import GradingCell, GradingNotebook
from autograder.course.notebook import answer_sources
from autograder.course.solution_regions import complete_functions, only_needed, taking_more
from autograder.grading.notebook.own_cells import cells_in_touch, going_on_without


@dataclass(frozen=True, eq=False)
class StandIns:
    """Reference parts in place of a student's wrong ones, in one student process.

    Attributes:
        tasks: The earlier tasks whose parts they are.
        names: Names of the parts in the module, those that a stand-in is itself made of included.
        source: Text of these parts and of what they need, and no more, since student code can find it.
        cells: The instructor's solution cells of these tasks, by grade_id.
    """

    tasks: tuple[Task, ...] = ()
    names: frozenset[str] = frozenset()
    source: str = ""
    cells: Mapping[str, str] = field(default_factory=dict)


NO_STAND_INS = StandIns()


@dataclass(frozen=True)
class Reference:
    """The instructor's texts, read once for each worker.

    Attributes:
        given: The released module; its complete functions replace the student's copies of them.
        modules: The given modules beside it, by name; imports find them, whatever was handed in.
        helpers: Names of the functions that the released module holds or imports complete.
        parts: Names in the module that tasks are about.
        solved: The solved module, which stand-ins are cut out of.
        source: The built nbgrader notebook.
        answers: The instructor's solution cells by grade_id.
        parameters: Text that grading runs after the notebook's parameters cell.
        quick_names: Text with small, quick stand-ins for what slow given cells and earlier answers make, by name.
        additions: Text put after the solved module: parts in a form that fits more callers.
        alternatives: Text put after that: parts that are right in another way, such as with the class token last.
            A student's own parts may only fit together with those. Empty if there are none.
    """

    given: str
    modules: dict[str, str]
    helpers: frozenset[str]
    parts: frozenset[str]
    solved: str
    source: bytes
    answers: dict[str, str]
    parameters: str
    quick_names: str
    additions: str
    alternatives: str

    @classmethod
    def read(cls, assignment: Assignment) -> Reference:
        """Read them from the course folder."""
        source = assignment.notebook_path.read_bytes()
        given = (assignment.source_dir / f"{MODULE}.py").read_text("utf-8")
        modules = {path.stem: path.read_text("utf-8") for path in assignment.given_modules}
        return cls(
            given=given,
            modules=modules,
            helpers=complete_functions(given, modules),
            parts=frozenset(name for task in assignment.tasks for name in task.provides),
            solved=(assignment.solution_dir / f"{MODULE}.py").read_text("utf-8"),
            source=source,
            answers=answer_sources(source),
            parameters=_text_if_there(assignment.checks_dir / "parameters.py"),
            quick_names=_text_if_there(assignment.checks_dir / "quick_names.py"),
            additions=_text_if_there(assignment.checks_dir / "stand_ins.py"),
            alternatives=_text_if_there(assignment.checks_dir / "alternatives.py"),
        )

    @cached_property
    def quick(self) -> frozenset[str]:
        """Names that have a quick stand-in."""
        return names_of(self.quick_names).makes

    def quick_source(self, name: str) -> str:
        """Return the text that makes one of the quick stand-ins."""
        return only_needed(self.quick_names, {name})

    def wanted_of(self, answer: str) -> frozenset[str]:
        """Return the names that an answer of the notebook must define: those that the instructor's defines."""
        return names_of(self.answers.get(answer, "")).makes

    def defines_functions(self, answer: str) -> bool:
        """Whether an answer of the notebook consists of functions."""
        return defines_functions(self.answers.get(answer, ""))

    def stand_ins_for(self, tasks: Sequence[Task]) -> tuple[StandIns, ...]:
        """Return what may stand in for these tasks' parts, in the order in which to try it."""
        texts = [self.solved, self.additions]
        choices = [self._cut_out(tasks, "\n".join(texts))]
        if self.alternatives:
            other = self._cut_out(tasks, "\n".join([*texts, self.alternatives]))
            choices += [other] if other.source != choices[0].source else []
        return tuple(choices)

    def _cut_out(self, tasks: Sequence[Task], text: str) -> StandIns:
        source = only_needed(text, {name for task in tasks for name in task.provides})
        # Checks read a model part by part, so parts that a stand-in uses must be those that it uses.
        names = self.parts & names_of(source).makes
        answers = (name for task in tasks for name in task.answers if name in self.answers)
        cells = {name: taking_more(self.answers[name]) for name in answers}
        return StandIns(tuple(tasks), names, source, cells)


@dataclass(frozen=True)
class CellTexts:
    """What there is to run: the cells of a submission's notebook, with stand-ins in the place of some.

    Attributes:
        notebook: What to run of the submission's notebook.
        reference: The instructor's texts.
        stand_ins: Whose cells are run in place of the student's.
    """

    notebook: GradingNotebook
    reference: Reference
    stand_ins: StandIns

    def is_missing(self, cell: GradingCell) -> bool:
        """Whether a cell was not handed in, and nothing stands in for it."""
        return cell.id in self.notebook.missing and cell.id not in self.stand_ins.cells

    def parts_of(self, cell: GradingCell) -> tuple[str, str]:
        """Return the text up to where a cell has defined what it must, and what follows, its lines numbered on."""
        source = self.stand_ins.cells.get(cell.id, cell.source)
        wanted = self.reference.wanted_of(cell.id) if cell.is_answer else frozenset()
        functions = self.reference.defines_functions(cell.id)
        end = end_of_definitions(source, wanted, functions=functions) if wanted else 0
        lines = source.split("\n")
        if not end or all(line.lstrip().startswith("#") for line in lines[end:] if line.strip()):
            return source, ""
        return "\n".join(lines[:end]), "#\n" * end + "\n".join(lines[end:])

    def following(self, cell: GradingCell, rest: str) -> tuple[str, bool]:
        """Return what is run of that which follows in a cell, and whether something there is left out.

        With functions, what uses them or trains is, but for functions that an answer must define which is missing.
        """
        if not self.reference.defines_functions(cell.id):
            return rest, False
        missing = (answer.id for answer in self.notebook.cells if answer.is_answer and self.is_missing(answer))
        elsewhere = frozenset[str]().union(*map(self.reference.wanted_of, missing))
        return going_on_without(self.reference.wanted_of(cell.id), rest, elsewhere)

    def reads_of(self, cell: GradingCell) -> frozenset[str]:
        """Return the names that a cell reads before it has defined what it must."""
        return names_of(self.parts_of(cell)[0]).reads

    def suppliers(self, name: str, before: int, *, quick: bool) -> Iterator[GradingCell]:
        """Yield cells that define a name, in the order in which to try them.

        Args:
            name: The name.
            before: Place in the notebook that they must stand above.
            quick: Whether a quick stand-in may supply it.
        """
        makers = list(self.notebook.makers(name, before))
        yield from (maker for maker in makers if maker.is_answer)
        if name not in self.reference.quick:
            yield from (maker for maker in makers if maker.given)
        elif quick and self._is_made(name, before):
            yield GradingCell(f"quick {name}", self.reference.quick_source(name), given=True)
        yield from (maker for maker in makers if maker.added)

    def changers(self, reader: GradingCell, names: Collection[str], before: int) -> list[GradingCell]:
        """Return the student's own cells that change what a cell reads, as the notebook has it at a place.

        Those above the last given cell or answer that makes a name change nothing of it. Sizes that grading sets
        stay as they are.

        Args:
            reader: The cell.
            names: What it reads, or must make.
            before: The place.
        """
        cells = self.notebook.cells[:before]
        sizes = names_of(self.reference.parameters).makes
        text = self.parts_of(reader)[0]
        touching = {cell.id for cell in cells_in_touch(names_of(text).reads, cells[: self.notebook.places[reader.id]])}
        bases = dict.fromkeys(set(names) - sizes, -1)
        for place, cell in enumerate(cells):
            if not cell.added:
                bases |= dict.fromkeys(self._source_names(cell) & bases.keys(), place)
        return [
            cell
            for place, cell in enumerate(cells)
            if cell.added
            and (
                cell.id in touching
                or any(bases[name] < place for name in cell.changes & bases.keys())
                or (place < self.notebook.places[reader.id] and leaves_traces(cell.source, text))
            )
        ]

    def _source_names(self, cell: GradingCell) -> frozenset[str]:
        return names_of(self.stand_ins.cells.get(cell.id, cell.source)).makes

    def _is_made(self, name: str, before: int) -> bool:
        """Whether a name is there at a place of the solved notebook."""
        cells = self.notebook.cells[:before]
        return any(name in (cell.names.makes if cell.given else self.reference.wanted_of(cell.id)) for cell in cells)


def _text_if_there(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""
