"""What is noted of a training: the files with weights that it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.student_side.training_observer import observed_files


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
