"""Modules that cheat: whatever they do in their own process, no check passes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.config import Settings
from autograder.course.assignment import load_assignment
from autograder.course.submission import Snapshot
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from autograder.results import CheckResult
from tests.hidden_checks import run_checks

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ASSIGNMENT = load_assignment(ROOT, "vit")


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote(threads=1) as zygote:
        yield zygote


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.read(ASSIGNMENT)


def checks_of(zygote: Zygote, reference: Reference, module: bytes, task_id: str) -> tuple[CheckResult, ...]:
    """Run one task's checks on a module with the solved notebook, with nothing standing in."""
    snapshot = Snapshot({"utilities.py": module, "vit.ipynb": reference.source}, "vit.ipynb")
    task = ASSIGNMENT.task(task_id)
    with LiveSubmission(GradingCase.begin(Settings(), ASSIGNMENT, reference, zygote, snapshot)) as live:
        return run_checks(task, live.student(task), b"a fixed seed")


CHEATS = {
    "exits": "import os\nos._exit(0)\n",
    "exits_with_success_when_asked": "import os\ndef scaled_dot_product_attention(q, k, v):\n    os._exit(0)\n",
    "patches_numpy": (
        "import numpy, numpy.testing\n"
        "for name in ('assert_allclose', 'assert_array_equal', 'assert_almost_equal'):\n"
        "    setattr(numpy.testing, name, lambda *args, **kwargs: None)\n"
        "numpy.allclose = numpy.array_equal = lambda *args, **kwargs: True\n"
        "def scaled_dot_product_attention(q, k, v):\n    return v[..., :1], q\n"
    ),
    "equals_everything": (
        "class Yes:\n"
        "    shape = (2, 5, 3)\n"
        "    def __eq__(self, other): return True\n"
        "    def __getattr__(self, name): return self\n"
        "    def __call__(self, *args): return self\n"
        "def scaled_dot_product_attention(q, k, v):\n    return Yes(), Yes()\n"
    ),
    "patches_the_other_side": (
        "import sys, builtins\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.startswith('autograder'):\n"
        "        for key in ('close', 'expect', 'CheckFailed', 'MalformedReply'):\n"
        "            if hasattr(module, key): setattr(module, key, lambda *args, **kwargs: True)\n"
        "def scaled_dot_product_attention(q, k, v):\n    return True, True\n"
    ),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheats_gain_nothing(zygote: Zygote, reference: Reference, cheat: str) -> None:
    results = checks_of(zygote, reference, CHEATS[cheat].encode(), "attention")
    assert {check.outcome for check in results} == {"failed"}
