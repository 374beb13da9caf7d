"""The course's secret: hidden inputs are drawn from it, so that nobody can compute them from a submission."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress

from autograder.course.course import Course


def course_secret(course: Course) -> bytes:
    """Return the course's secret, made on first use."""
    path = course.state_dir / "secret"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret-") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was faster: its secret is the course's
                os.link(file.name, path)
    return path.read_bytes()
