"""Hostile and malformed submissions: no mark gained, no secret read, nothing written, left or reached."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from tests.submissions.hostile.attacks import RIGHT, Attack, notebook, read_attacks
from tests.submissions.hostile.malformed import ANSWER, MALFORMED, Malformed, said, write_right
from tests.submissions.hostile.world import FULL, World

pytestmark = pytest.mark.slow

ATTACKS = read_attacks()
HONEST = FULL | {"quadruple": 2.0}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        world = World(tmp_path_factory.mktemp("world"), patch)
        try:
            assert honest_marks(world, "before all attacks") == HONEST
            yield world
        finally:
            world.close()


def honest_marks(world: World, when: str) -> dict[str, float]:
    """Return the marks of right submissions that were not graded before."""
    marks: dict[str, float] = {}
    for whole in (False, True):
        module = f"{RIGHT}# {when}, {whole}\n"
        folder = world.hand_in("honest", module, notebook(world.released, ANSWER))
        marks |= {task.id: task.score for task in world.grade(folder, whole=whole).tasks}
    return marks


def test_there_are_many_attacks() -> None:
    assert len({attack.slug for attack in ATTACKS}) >= 80
    assert len(MALFORMED) >= 40


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda case: case.name)
def test_attacks_gain_nothing_and_harm_nothing(world: World, attack: Attack) -> None:
    folder = world.hand_in("attacker", attack.module(world.fill), notebook(world.released, attack.cell(world.fill)))
    with world.watched(attack.name) as results:
        results.append(world.grade(folder, whole=attack.needs_stand_ins))
    (result,) = results
    assert {task.id: task.score for task in result.tasks if task.score} == attack.marks
    messages = "\n".join(check.message for task in result.tasks for check in task.checks)
    assert not result.has_error, messages
    told = "\n".join([messages, *result.notes])  # what a cell does after its definition is told in a note
    assert re.search(attack.reason, told, re.DOTALL), told


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda case: case.name)
def test_malformed_submissions_get_a_mark_or_a_reason(world: World, malformed: Malformed) -> None:
    if malformed.root and os.geteuid() != 0:
        pytest.skip("only root can make such a file")
    folder = world.folder("careless")
    write_right(folder, world)
    malformed.write(folder, world)
    with world.watched(malformed.name) as results:
        results.append(world.grade(folder))
    (result,) = results
    messages = [check.message for task in result.tasks for check in task.checks]
    assert not result.has_error, messages
    assert {task.id: task.score for task in result.tasks if task.score} == malformed.marks
    assert said(result.notes, messages, malformed.says), (result.notes, messages)


def test_honest_work_has_full_marks_after_all_that(world: World) -> None:
    assert honest_marks(world, "after all attacks") == HONEST
