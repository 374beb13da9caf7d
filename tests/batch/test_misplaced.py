"""Hand-ins in the wrong place are named, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.batch.batch import discover
from autograder.batch.misplaced import misplaced
from autograder.errors import UsageError
from autograder.files import two_folders


def files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ben/VIT/vit.ipynb", "ben/VIT is not found, since the folder has to be named vit: rename it."),
        ("ben/utilities.py", "ben is one level too high: move its files into"),
        (
            "ben/vit.zip",
            "ben/vit.zip is a zip file: move it out of there and run: python -m autograder collect vit.zip",
        ),
        ("ben.zip", "ben.zip is a zip file: move it out of there and run"),
        ("vit/ben/vit.ipynb", "holds students: the order is <student>/vit/"),
        ("ben_vit.ipynb", "ben_vit.ipynb lies in no student's folder."),
    ],
)
def test_each_wrong_place_is_named(tmp_path: Path, name: str, sentence: str) -> None:
    root = files(tmp_path, name, "ada/vit/vit.ipynb", "ada/other/x.py", "README.txt", ".hidden/x.zip", "eve/notes.txt")
    ((_, found),) = misplaced(root, "vit")
    assert sentence in found
    assert set(discover(root, "vit")) == {"ada"}


def test_nobody_is_asked_whether_they_meant_themselves(tmp_path: Path) -> None:
    root = files(tmp_path, "ben/Vit/vit.ipynb", "bea/vit/vit.ipynb", "eve/x.txt")
    with pytest.raises(UsageError, match=r"No submission of ben.*ben/Vit is not found, since .* named vit: rename it"):
        discover(root, "vit", ["ben"])
    with pytest.raises(UsageError, match="No submission of eve") as refused:
        discover(root, "vit", ["eve"])
    assert "Did you mean eve" not in str(refused.value)


def test_where_nothing_is_found_the_remedies_are_there(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"No submissions in .*Expected folders <student>/vit/ in it\. .*is a zip file"
    ):
        discover(files(tmp_path, "ben.zip"), "vit")


def test_one_student_in_two_folders_keeps_nobody_else_out(tmp_path: Path) -> None:
    root = files(tmp_path, "Jos\u00e9/vit/vit.ipynb", "Jose\u0301/vit/vit.ipynb", "ada/vit/vit.ipynb")
    assert set(discover(root, "vit")) == {"ada"}
    assert [sentence for _, sentence in misplaced(root, "vit")] == [two_folders(root, "vit")["Jos\u00e9"]]
    with pytest.raises(UsageError, match=r"are one student.*Remove the one that does not count"):
        discover(root, "vit", ["Jose\u0301"])
