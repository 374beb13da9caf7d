"""Draws of the hidden checks: right styles lose in none, and a run that was killed goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autograder.checking import comparisons, dropout, gradients
from benchmarks.draws import TURN, Draw, Plan, draw_all, read_draws, rendered, worst_of
from benchmarks.margins import Seen, Watcher
from tests.hidden_checks import DRAWS

CHEAP = ("attention", "mlp", "patch_extractor", "patch_encoder")


@pytest.mark.slow
def test_no_verdict_hangs_on_the_draw(tmp_path: Path) -> None:
    path = tmp_path / "draws"
    draws = draw_all(Plan(["own_variables"], CHEAP, DRAWS), path)
    found = worst_of(draws)
    assert {check: worst.flips for check, worst in found.items() if worst.flips} == {}
    assert {worst.draws["own_variables"] for worst in found.values()} == {DRAWS}
    assert 0 < found["attention::output"].seen.taken < 0.5
    assert found["mlp::dropout"].seen.right < 4.5
    assert found["mlp::dropout"].seen.shared > 1.5 * dropout.STANDARD_ERRORS  # 12 as a rule, below 10 in some draws
    assert [draw.number for draw in read_draws(path)] == [draw.number for draw in draws]


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "draws"
    path.write_bytes(b'{"style":"a","task":"mlp","number":0,"checks":{}}\n{"style":"a","task":"ml')
    draws = read_draws(path)
    assert [(draw.style, draw.task, draw.number) for draw in draws] == [("a", "mlp", 0)]
    assert path.read_bytes().endswith(b"}\n")
    plan = Plan(["a", "b"], ["mlp"], TURN + 1)
    left = list(plan.turns({("a", "mlp", 0)}))
    assert [(style, len(wanted)) for style, wanted in left] == [("a", TURN - 1), ("b", TURN), ("a", 1), ("b", 1)]


def test_flips_and_the_worst_margins_are_shown() -> None:
    draws = [
        Draw("a", "mlp", 0, {"mlp::output": Seen(taken=0.2, refused=30.0)}),
        Draw("a", "mlp", 1, {"mlp::output": Seen(taken=0.1, refused=20.0, lost="failed: no")}),
        Draw("b", "mlp", 0, {"mlp::output": Seen()}),
    ]
    head, _, row, flip = rendered(worst_of(draws)).splitlines()
    assert len(head) == len(row)
    assert row.split("|")[1:6] == [" mlp::output ", "                1 ", "     1 ", "   0.2 ", "      20 "]
    assert flip == "mlp::output, a, draw 1: failed: no"


def test_comparisons_are_seen_and_not_changed() -> None:
    watcher = Watcher(np.random.default_rng(0))
    right, units = np.ones(3), np.random.default_rng(1).random((2, 24, 6, 5)) < 0.7
    with watcher.watching():
        assert comparisons.close(right + 5e-6, right)
        assert not comparisons.close(right + 1e-3, right)
        assert gradients.relative_error(right, right, 3.0) == 0
        assert dropout.is_as_frequent(units, 0.7)
        assert dropout.is_independent(dropout.Kept(units, np.ones(units.shape, bool)))
    seen = watcher._now
    assert [seen.taken, seen.refused] == pytest.approx([0.5, 100.0])
    assert seen.right < dropout.STANDARD_ERRORS < seen.more < seen.shared
