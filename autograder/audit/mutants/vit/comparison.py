"""How the parts of the lab `vit` are compared."""

from __future__ import annotations

from pathlib import Path

from autograder.audit.mutants.comparison import Comparison
from autograder.audit.mutants.vit.freedoms import FREEDOMS

COMPARISON = Comparison(Path(__file__).parent, ("looking", "parts", "vits", "answers"), "imports", FREEDOMS)
