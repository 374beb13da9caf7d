"""Run a private PostgreSQL server for a test: its own data folder, a socket in it, no TCP."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

USER = "nobody"
"""Whom the server runs as where the test runs as root, which PostgreSQL refuses."""


def binaries() -> Path | None:
    """Return the folder with `initdb` and `pg_ctl`, the newest one where Debian's packages put them; None if none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@contextmanager
def server() -> Iterator[str]:
    """Start a server and yield the URL of an empty database; the server and all its files are gone afterwards.

    Its folder lies in the system's own folder for temporary files: pytest's is closed to the server's user, and a
    socket's path must be short.
    """
    programs = binaries()
    if programs is None:
        raise RuntimeError("No PostgreSQL server is installed.")
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        data, log = folder / "data", folder / "log"
        if os.geteuid() == 0:
            shutil.chown(folder, USER, pwd.getpwnam(USER).pw_gid)
        words = ["-A", "trust", "-U", "grader", "-E", "UTF8", "--locale=C", "--no-sync"]
        _as_user([programs / "initdb", "-D", data, *words], folder)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        start: list[Path | str] = [
            programs / "pg_ctl",
            "-D",
            data,
            "-w",
            "-t",
            "120",
            "-l",
            log,
            "-o",
            options,
            "start",
        ]
        _as_user(start, folder)
        try:
            yield f"postgresql+psycopg://grader@/postgres?host={folder}"
        finally:
            _as_user([programs / "pg_ctl", "-D", data, "-w", "-m", "fast", "stop"], folder)


def _as_user(words: Sequence[Path | str], folder: Path) -> None:
    """Run a program as an ordinary user; it says nothing unless it fails."""
    user = {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    output = folder / "output"  # not a pipe: the server would hold it open
    with output.open("wb") as file:
        done = subprocess.run(list(map(str, words)), cwd="/", stdout=file, stderr=file, check=False, **user)  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(output.read_text())
