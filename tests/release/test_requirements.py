"""What students install: what the lab imports, and nothing else, in the versions of the lock file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from autograder.errors import AssignmentError
from autograder.release.build import build
from autograder.release.requirements import HEADING, student_requirements, with_python
from tests.tiny import REPOSITORY, write_tiny_sources

LOCK = """numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:aa
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:bb
pandas==3.0.0 \\
    --hash=sha256:cc
scikit-learn==1.9.1 \\
    --hash=sha256:dd
"""


NAMES = ("utilities", "lab", "tools")


def lines_of(*sources: str) -> list[str]:
    heading, *lines = student_requirements(LOCK, dict(zip(NAMES, sources, strict=False))).splitlines()
    assert f"{heading}\n" == HEADING
    return lines


def test_only_what_is_imported_is_pinned_with_its_markers() -> None:
    module = "import os.path\nimport numpy as np\nfrom . import own\ndef load():\n    from sklearn.datasets import x\n"
    notebook = "from IPython.display import display\nimport utilities, tools\n# %load_ext autoreload\n"
    assert lines_of(module, notebook, "import utilities\n") == [
        "numpy==2.4.6 ; python_full_version < '3.12'",
        "numpy==2.5.5 ; python_full_version >= '3.12'",
        "scikit-learn==1.9.1",
    ]


def test_what_the_lock_does_not_pin_is_refused() -> None:
    with pytest.raises(AssignmentError, match=r"import torch, which requirements.lock does not pin"):
        lines_of("import torch\n")
    with pytest.raises(AssignmentError, match="not Python, line 1"):
        lines_of("import (\n")


def test_the_released_file_has_the_versions_that_grading_uses() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    released = (REPOSITORY / "release/vit/requirements.txt").read_text()
    modules = ("vit", "utilities", "lab_tools", "public_tests", "experiments")
    sources = {name: (REPOSITORY / f"solutions/vit/{name}.py").read_text() for name in modules}
    assert released.splitlines()[2:] == student_requirements(lock, sources).splitlines()[1:]
    assert "graded with Python 3." in released.splitlines()[1]
    asked = [Requirement(line) for line in released.splitlines()[2:]]
    locked = [Requirement(line.removesuffix(" \\")) for line in lock.splitlines() if "==" in line]
    assert [requirement for requirement in asked if requirement not in locked] == []
    assert {"transformers", "carbontracker", "tf-keras"} <= {canonicalize_name(requirement.name) for requirement in asked}


def test_a_course_with_a_lock_builds_the_file(tmp_path: Path) -> None:
    write_tiny_sources(tmp_path)
    (tmp_path / "requirements.lock").write_text(LOCK)
    module = tmp_path / "solutions/tiny/utilities.py"
    module.write_text(module.read_text() + "\nimport pandas\n")
    build(tmp_path, "tiny")
    built = (tmp_path / "source/tiny/requirements.txt").read_text()
    assert built == f"{HEADING}pandas==3.0.0\n"
    assert not re.search(r"Python \d", built)  # what is built must not depend on the Python that builds


def test_a_release_says_which_python_grades_it() -> None:
    here = f"Python {sys.version_info.major}.{sys.version_info.minor},"
    heading, python, *rest = with_python(f"{HEADING}pandas==3.0.0\n").splitlines()
    assert (f"{heading}\n", rest) == (HEADING, ["pandas==3.0.0"])
    assert here in python
    assert with_python("pandas==3.0.0\n") == "pandas==3.0.0\n"  # a file of the course's own stays as it is
