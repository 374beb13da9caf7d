"""What is noted of a training: the files with weights that it writes, and what begins and ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autograder.student_side.training_observer import observed_events, observed_files


def test_files_with_weights_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("best.h5").write_text("before")
    Path("old.keras").write_text("stays")
    Path("folder").mkdir()
    Path("tmp123").mkdir()
    with observed_files() as saved:
        Path("best.h5").write_text("other weights")
        for name in ("folder/best.weights.h5", "folder/checkpoint.index", "training.csv", "tmp123/best.h5"):
            Path(name).write_text("")
    assert sorted(saved) == ["best.h5", "folder/best.weights.h5", "folder/checkpoint.index"]


def test_calls_of_an_inner_function_are_noted() -> None:
    names: dict[str, Any] = {"train": lambda epochs: epochs + 1}
    names["measure"] = lambda: names["train"](epochs=2)
    before = dict(names)
    with observed_events(names, "train") as events:
        assert names["measure"]() == 3
    assert events == ["train begins", "train ends"]
    assert names == before
    with observed_events(names, "missing") as events:
        names["measure"]()
    assert events == []
