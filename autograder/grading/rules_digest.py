"""The package itself, as something that results depend on."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path


@functools.cache
def package_digest() -> str:
    """Return the SHA-256 of the package's own modules."""
    whole = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
