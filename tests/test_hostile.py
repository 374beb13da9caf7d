"""Hostile and malformed submissions: no mark gained, no secret read, nothing written, left or reached."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.submissions.hostile.attacks import RIGHT, Attack, notebook, read_attacks
from tests.submissions.hostile.world import FULL, World

pytestmark = pytest.mark.slow

ATTACKS = read_attacks()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        one = World(tmp_path_factory.mktemp("world"), patch)
        try:
            yield one
        finally:
            one.close()


def honest_work(world: World, when: str) -> dict[str, float]:
    """Return the marks of a right submission that was not graded before."""
    folder = world.hand_in("honest", f"{RIGHT}# {when}\n", notebook(world.released, "total = sum(range(size))"))
    return {task.id: task.score for task in world.grader.grade(folder).tasks}


def test_honest_work_has_full_marks(world: World) -> None:
    assert honest_work(world, "before all attacks") == FULL


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_attacks_gain_nothing_and_harm_nothing(world: World, attack: Attack) -> None:
    folder = world.hand_in("attacker", attack.module(world.fill), notebook(world.released, attack.cell(world.fill)))
    with world.watched() as results:
        results.append(world.grader.grade(folder, "attacker"))
    (result,) = results
    scores = {task.id: task.score for task in result.tasks if task.score}
    assert scores == {name: score for name, score in attack.marks.items() if score}
    messages = "\n".join(check.message for task in result.tasks for check in task.checks)
    assert not result.has_error, messages
    assert re.search(attack.reason, messages, re.DOTALL), messages


def test_honest_work_has_full_marks_after_all_that(world: World) -> None:
    assert honest_work(world, "after all attacks") == FULL
