"""Rigged trainings, drawn once for all tests of them."""

from __future__ import annotations

import numpy as np
import pytest

from autograder.checks.vit.training.rigged_training import LATE, LONG, PLAIN, RiggedTraining, rig_training
from tests.hidden_checks import DRAWS, load_checks

TRAINING = load_checks("training")


@pytest.fixture(scope="session")
def drawn() -> list[RiggedTraining]:
    plans = (PLAIN, LONG) * (DRAWS // 2)
    return [rig_training(np.random.default_rng(seed), plan, TRAINING.OF_RECIPE) for seed, plan in enumerate(plans)]


@pytest.fixture(scope="session")
def drawn_late() -> list[RiggedTraining]:
    return [rig_training(np.random.default_rng(seed), LATE, [TRAINING.NOT_ALL_TRAINED]) for seed in range(DRAWS)]
