"""Stand-ins: what is cut out of the solved module for wrong earlier tasks."""

from __future__ import annotations

from autograder.course.assignment import load_assignment
from autograder.grading.reference import Reference
from tests.submissions.corpus import ROOT
from tests.tiny import TinyCourse

ALTERNATIVE = "def double(x):\n    return x + x\n"


def test_stand_ins_hold_the_parts_and_cells_of_their_tasks_alone(tiny_course: TinyCourse) -> None:
    assignment = tiny_course.assignment
    reference = Reference.read(assignment)
    (part,) = reference.stand_ins_for([assignment.task("double")])
    assert part.names == {"double"}
    assert "twice_of_everything" in part.source
    assert not part.cells
    (cell,) = reference.stand_ins_for([assignment.task("total")])
    assert not cell.names
    assert list(cell.cells) == ["total_answer"]
    assert "sum(range(size))" in cell.cells["total_answer"]


def test_parts_that_a_stand_in_uses_stand_in_too() -> None:
    assignment = load_assignment(ROOT, "vit")
    first, _ = Reference.read(assignment).stand_ins_for([assignment.task("vit_model")])
    assert first.names == {name for task in assignment.tasks for name in task.provides}
    (block,) = Reference.read(assignment).stand_ins_for([assignment.task("transformer_block")])
    assert block.names == {"scaled_dot_product_attention", "MultiHeadAttention", "mlp", "transformerBlock"}


def test_alternatives_are_a_second_choice(tiny_course: TinyCourse) -> None:
    (tiny_course.assignment.checks_dir / "alternatives.py").write_text(ALTERNATIVE)
    reference = Reference.read(tiny_course.assignment)
    first, second = reference.stand_ins_for([tiny_course.assignment.task("double")])
    assert "x + x" not in first.source
    assert "x + x" in second.source
