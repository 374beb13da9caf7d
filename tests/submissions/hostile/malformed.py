"""Malformed submissions: each a small function that writes one, with the marks it has and the words students read."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.submissions.hostile.attacks import RIGHT, WRONG, notebook
from tests.submissions.hostile.world import FULL, NAME, World

Write = Callable[[Path, World], None]

NO_MODULE = {"total": 2.0}
NO_NOTEBOOK = {"double": 3.0}
NOTHING: dict[str, float] = {}
ANSWER = "total = sum(range(size))"


@dataclass(frozen=True)
class Malformed:
    """One way to hand in something odd.

    Attributes:
        write: Changes a right submission that lies in a folder.
        marks: What it must have, exactly.
        says: Pattern of what the notes or reasons must say.
        root: It needs to be root to be made.
    """

    name: str
    write: Write
    marks: dict[str, float]
    says: str
    root: bool = False


MALFORMED: list[Malformed] = []


def malformed(marks: dict[str, float], says: str = "", *, root: bool = False) -> Callable[[Write], Write]:
    """Enter a function into the corpus."""

    def enter(write: Write) -> Write:
        MALFORMED.append(Malformed(write.__name__.replace("_", "-"), write, marks, says, root))
        return write

    return enter


def write_right(folder: Path, world: World) -> None:
    """Write a submission with full marks."""
    (folder / "utilities.py").write_text(RIGHT)
    (folder / f"{NAME}.ipynb").write_bytes(notebook(world.released, ANSWER))


def change_module(folder: Path, change: Callable[[str], bytes]) -> None:
    """Write the right module in another form."""
    (folder / "utilities.py").write_bytes(change(RIGHT))


def change_notebook(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the right notebook's JSON."""
    path = folder / f"{NAME}.ipynb"
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data))


def answer_of(data: dict[str, Any]) -> dict[str, Any]:
    """Return the answer cell."""
    cell: dict[str, Any] = next(
        cell for cell in data["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == "total_answer"
    )
    return cell


def instead(folder: Path, name: str = "utilities.py") -> Path:
    """Return the path of a file that was removed."""
    (folder / name).unlink()
    return folder / name


# --- The module's text --------------------------------------------------------------------------------------


@malformed(FULL)
def byte_order_mark(folder: Path, world: World) -> None:
    change_module(folder, lambda text: text.encode("utf-8-sig"))


@malformed(FULL)
def carriage_returns(folder: Path, world: World) -> None:
    change_module(folder, lambda text: text.replace("\n", "\r\n").encode())


@malformed(FULL)
def carriage_returns_alone(folder: Path, world: World) -> None:
    change_module(folder, lambda text: text.replace("\n", "\r").encode())


@malformed(FULL)
def tabs(folder: Path, world: World) -> None:
    change_module(folder, lambda text: text.replace("    ", "\t").encode())


@malformed(FULL)
def form_feeds(folder: Path, world: World) -> None:
    change_module(folder, lambda text: text.replace("\n\n", "\n\f\n").encode())


@malformed(FULL)
def latin_1_that_says_so(folder: Path, world: World) -> None:
    change_module(folder, lambda text: ("# -*- coding: latin-1 -*-\n# Lösung\n" + text).encode("latin-1"))


@malformed(FULL)
def a_line_of_a_million_characters(folder: Path, world: World) -> None:
    change_module(folder, lambda text: (text + "# " + "x" * 1_000_000).encode())


@malformed(NO_MODULE, r"TabError.*line \d")
def tabs_and_spaces(folder: Path, world: World) -> None:
    change_module(folder, lambda text: (text + "def more(x):\n    if x:\n\treturn x\n").encode())


@malformed(NO_MODULE, r"not UTF-8 text.*Save it as UTF-8")
def latin_1(folder: Path, world: World) -> None:
    change_module(folder, lambda text: ("title = 'Lösung'\n" + text).encode("latin-1"))


@malformed(NO_MODULE, r"NUL bytes.*Save it as plain text in UTF-8")
def utf_16(folder: Path, world: World) -> None:
    change_module(folder, lambda text: text.encode("utf-16"))


@malformed(NO_MODULE, "NUL bytes")
def nul_bytes(folder: Path, world: World) -> None:
    change_module(folder, lambda text: text.encode() + b"\0")


@malformed(NO_MODULE, "not UTF-8 text")
def random_bytes(folder: Path, world: World) -> None:
    change_module(folder, lambda text: bytes(range(1, 256)) * 100)


@malformed(NO_MODULE, "not UTF-8 text")
def an_unknown_coding(folder: Path, world: World) -> None:
    change_module(folder, lambda text: ("# -*- coding: nonsense -*-\n" + text).encode())


@malformed(NO_MODULE, "there is no `double` in utilities.py|double is not written")
def an_empty_module(folder: Path, world: World) -> None:
    change_module(folder, lambda text: b"")


@malformed(NO_MODULE, r"SyntaxError|RecursionError|MemoryError|ended before")
def brackets_without_end(folder: Path, world: World) -> None:
    change_module(folder, lambda text: b"x = " + b"(" * 100_000)


# --- What lies under the module's name ----------------------------------------------------------------------


@malformed(NO_MODULE, r"utilities\.py is a folder")
def a_folder_for_a_module(folder: Path, world: World) -> None:
    instead(folder).mkdir()
    (folder / "utilities.py" / "__init__.py").write_text(RIGHT)


@malformed(NO_MODULE, r"utilities\.py is no file but a pipe")
def a_pipe_for_a_module(folder: Path, world: World) -> None:
    os.mkfifo(instead(folder))


@malformed(NO_MODULE, r"utilities\.py is no file but a pipe, a socket")
def a_socket_for_a_module(folder: Path, world: World) -> None:
    instead(folder)
    here = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"/proc/self/fd/{here}/utilities.py")
    os.close(here)


@malformed(NO_MODULE, r"utilities\.py is no file", root=True)
def a_device_for_a_module(folder: Path, world: World) -> None:
    os.mknod(instead(folder), 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero, which never ends


@malformed(NO_MODULE, r"utilities\.py is a link")
def a_link_to_the_passwords(folder: Path, world: World) -> None:
    instead(folder).symlink_to("/etc/passwd")


@malformed(NO_MODULE, r"utilities\.py is a link")
def a_link_to_the_solution(folder: Path, world: World) -> None:
    instead(folder).symlink_to(world.root / "solutions" / NAME / "utilities.py")


@malformed(NO_MODULE, r"utilities\.py is a link")
def a_link_to_nowhere(folder: Path, world: World) -> None:
    instead(folder).symlink_to("utilities.py")


@malformed(NO_MODULE, r"link to a file of somebody else", root=True)
def a_hard_link_to_somebody_elses_file(folder: Path, world: World) -> None:
    os.link(world.root / "solutions" / NAME / "utilities.py", instead(folder))
    os.chown(folder, 12345, 12345)


@malformed(FULL, r"notes\.txt could not be opened|^$|(?s:.*)")
def a_file_that_may_not_be_read(folder: Path, world: World) -> None:
    (folder / "notes.txt").write_text("x")
    (folder / "notes.txt").chmod(0)


@malformed(NO_MODULE, r"There is no utilities\.py, but Utilities\.PY\.txt")
def a_module_of_another_name(folder: Path, world: World) -> None:
    (folder / "utilities.py").rename(folder / "Utilities.PY.txt")


@malformed(NO_MODULE, r"but work/utilities\.py.*in no other folder")
def a_module_in_a_folder(folder: Path, world: World) -> None:
    (folder / "work").mkdir()
    (folder / "utilities.py").rename(folder / "work" / "utilities.py")


# --- Sizes, numbers and names -------------------------------------------------------------------------------


@malformed(FULL, r"data\.bin has 1,048,576 MiB, more than is read")
def a_sparse_file_of_a_terabyte(folder: Path, world: World) -> None:
    with (folder / "data.bin").open("wb") as file:
        file.truncate(1 << 40)


@malformed(NO_MODULE, r"utilities\.py has 100 MiB, more than is read")
def a_module_of_a_hundred_megabytes(folder: Path, world: World) -> None:
    change_module(folder, lambda text: text.encode() + b"#" * (100 << 20))


@malformed(FULL, "Your hand-in holds more files than are read")
def thousands_of_files(folder: Path, world: World) -> None:
    for number in range(3000):
        (folder / f"{number}.txt").touch()


@malformed(FULL, "Your hand-in holds more files than are read")
def thousands_of_links(folder: Path, world: World) -> None:
    for number in range(3000):
        (folder / f"{number}.txt").symlink_to("/etc/passwd")


@malformed(FULL, "Your hand-in holds more files than are read")
def thousands_of_folders(folder: Path, world: World) -> None:
    for number in range(3000):
        (folder / f"{number}").mkdir()


@malformed(FULL, "lies too deep")
def folders_without_end(folder: Path, world: World) -> None:
    place = folder
    for _ in range(60):
        place = place / "d"
        place.mkdir()


@malformed(FULL, "loop is a link")
def a_loop_of_links(folder: Path, world: World) -> None:
    (folder / "loop").symlink_to(folder)


@malformed(FULL, "outside is a link")
def a_link_to_the_course(folder: Path, world: World) -> None:
    (folder / "outside").symlink_to(world.root)


@malformed(FULL, "more files were left out")
def fifty_links(folder: Path, world: World) -> None:
    for number in range(50):
        (folder / f"{number}.txt").symlink_to("/etc/passwd")


@malformed(FULL, "is not UTF-8")
def a_name_that_is_no_text(folder: Path, world: World) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.py")).write_text("x = 1")


@malformed(FULL, "is a link")
def names_that_a_terminal_or_a_page_would_obey(folder: Path, world: World) -> None:
    for name in ("\x1b[2J\x1b]0;x\x07", "line\nbreak", "<script>alert(1)<&script>", "\u202egpj.py", "{{7*7}}", "-rf"):
        (folder / name).symlink_to("/etc/passwd")


@malformed(FULL)
def names_that_climb(folder: Path, world: World) -> None:
    for name in ("..\\..\\pwned", "...", "~", "$HOME", "`id`", "%2e%2e%2fpwned", "C:pwned", "x" * 255, "pwned;rm"):
        (folder / name).write_text("x")


# --- Names of libraries and of settings ---------------------------------------------------------------------


@malformed(FULL, "numpy is the name of a library")
def a_file_for_a_library(folder: Path, world: World) -> None:
    (folder / "numpy.py").write_text("raise SystemExit")


@malformed(FULL, "tensorflow is the name of a library")
def a_package_for_a_library(folder: Path, world: World) -> None:
    (folder / "tensorflow").mkdir()
    (folder / "tensorflow" / "__init__.py").write_text("raise SystemExit")


@malformed(FULL, "json is the name of a library(?s:.*)random is the name")
def files_for_the_standard_library(folder: Path, world: World) -> None:
    for name in ("json", "random", "os", "socket", "typing"):
        (folder / f"{name}.py").write_text("raise SystemExit")


@malformed(FULL, "sitecustomize is the name(?s:.*)usercustomize")
def files_that_python_starts_with(folder: Path, world: World) -> None:
    for name in ("sitecustomize", "usercustomize"):
        (folder / f"{name}.py").write_text("import os; os._exit(0)")
    (folder / "pwned.pth").write_text("import os; os._exit(0)")


@malformed(FULL)
def files_that_pytest_reads(folder: Path, world: World) -> None:
    text = "import pytest\n@pytest.hookimpl\ndef pytest_runtest_call(item): item.runtest = lambda: None\n"
    (folder / "conftest.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --collect-only -p conftest\n")
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--collect-only"\n')
    (folder / "test_double.py").write_text("def test_doubles(): pass\n")


@malformed(FULL)
def files_that_nbgrader_reads(folder: Path, world: World) -> None:
    text = f"open({str(world.outside / 'pwned')!r}, 'w')\nc = get_config()\n"
    for name in ("nbgrader_config.py", "course_config.py", "jupyter_config.py", "ipython_config.py"):
        (folder / name).write_text(text)


@malformed(NO_NOTEBOOK, "sum of the numbers")
def a_copy_of_the_grader(folder: Path, world: World) -> None:
    (folder / "autograder").mkdir()
    for name in ("__init__", "wire", "checking", "runner"):
        (folder / "autograder" / f"{name}.py").write_text("def close(*args): return True\nrequire = close\n")
    (folder / f"{NAME}.ipynb").write_bytes(notebook(world.released, "total = 0"))


@malformed({}, "not twice as large")
def earlier_results(folder: Path, world: World) -> None:
    change_module(folder, lambda text: WRONG.encode())
    (folder / f"{NAME}.ipynb").write_bytes(notebook(world.released, "total = 0"))
    (folder / ".autograder").mkdir()
    for name in ("result.json", f"{NAME}.json", ".autograder/secret"):
        (folder / name).write_text('{"schema": 1, "score": 7, "max_score": 7}')


# --- The notebook -------------------------------------------------------------------------------------------


@malformed(NO_NOTEBOOK, "not valid JSON")
def a_notebook_that_is_no_json(folder: Path, world: World) -> None:
    (folder / f"{NAME}.ipynb").write_text("<html>Sign in to download</html>")


@malformed(NO_NOTEBOOK, "not valid JSON")
def an_empty_notebook(folder: Path, world: World) -> None:
    (folder / f"{NAME}.ipynb").write_text("")


@malformed(NO_NOTEBOOK, "not valid JSON")
def half_a_notebook(folder: Path, world: World) -> None:
    path = folder / f"{NAME}.ipynb"
    path.write_bytes(path.read_bytes()[:-100])


@malformed(NO_NOTEBOOK, "expected a JSON object")
def a_list_for_a_notebook(folder: Path, world: World) -> None:
    (folder / f"{NAME}.ipynb").write_text("[1, 2, 3]")


@malformed(NO_NOTEBOOK, "not valid JSON")
def brackets_for_a_notebook(folder: Path, world: World) -> None:
    (folder / f"{NAME}.ipynb").write_text("[" * 1_000_000)


@malformed(NO_NOTEBOOK, "too large to be read")
def small_things_without_number(folder: Path, world: World) -> None:
    (folder / f"{NAME}.ipynb").write_text('{"nbformat": 4, "cells": [' + "[]," * (10 << 20) + "[]]}")


@malformed(NO_NOTEBOOK, "format 3; expected format 4")
def nbformat_3(folder: Path, world: World) -> None:
    change_notebook(folder, lambda data: data.update(nbformat=3, worksheets=[{"cells": data.pop("cells")}]))


@malformed(NO_NOTEBOOK, "expected format 4")
def nbformat_as_text(folder: Path, world: World) -> None:
    change_notebook(folder, lambda data: data.update(nbformat="4"))


@malformed(NO_NOTEBOOK, "no list of cells")
def cells_that_are_no_list(folder: Path, world: World) -> None:
    change_notebook(folder, lambda data: data.update(cells={"0": data["cells"]}))


@malformed(NO_NOTEBOOK, "is a folder")
def a_folder_for_a_notebook(folder: Path, world: World) -> None:
    instead(folder, f"{NAME}.ipynb").mkdir()


@malformed(NO_NOTEBOOK, "is no file but a pipe")
def a_pipe_for_a_notebook(folder: Path, world: World) -> None:
    os.mkfifo(instead(folder, f"{NAME}.ipynb"))


@malformed(NO_NOTEBOOK, "is a link")
def a_link_to_the_solved_notebook(folder: Path, world: World) -> None:
    instead(folder, f"{NAME}.ipynb").symlink_to(world.root / "source" / NAME / f"{NAME}.ipynb")


@malformed(FULL)
def a_notebook_with_a_byte_order_mark(folder: Path, world: World) -> None:
    path = folder / f"{NAME}.ipynb"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


@malformed(FULL)
def numbers_that_json_lacks(folder: Path, world: World) -> None:
    change_notebook(folder, lambda data: data["cells"][0]["metadata"].update(x=float("nan"), y=float("inf")))


@malformed(FULL, "outputs were left out")
def a_hundred_megabytes_of_outputs(folder: Path, world: World) -> None:
    output = {"output_type": "stream", "name": "stdout", "text": "x" * (100 << 20)}
    change_notebook(folder, lambda data: answer_of(data).update(outputs=[output]))


@malformed(NO_NOTEBOOK, r"\.ipynb has 200 MiB, more than is read")
def two_hundred_megabytes_of_outputs(folder: Path, world: World) -> None:
    output = {"output_type": "stream", "name": "stdout", "text": "x" * (200 << 20)}
    change_notebook(folder, lambda data: answer_of(data).update(outputs=[output]))


@malformed(FULL)
def equal_cell_ids(folder: Path, world: World) -> None:
    change_notebook(folder, lambda data: [cell.update(id="same") for cell in data["cells"]])


@malformed(FULL, "2 times; the last one counts")
def equal_grade_ids(folder: Path, world: World) -> None:
    change_notebook(folder, lambda data: data["cells"].insert(0, {**answer_of(data), "source": "total = 0"}))


@malformed(NO_NOTEBOOK, "total_answer is not in your notebook")
def a_missing_answer(folder: Path, world: World) -> None:
    change_notebook(folder, lambda data: data["cells"].remove(answer_of(data)))


@malformed(NO_NOTEBOOK, "None of the lab's cells")
def no_cells(folder: Path, world: World) -> None:
    change_notebook(folder, lambda data: data.update(cells=[]))


@malformed(NO_NOTEBOOK, "make|Make it a code cell again")
def an_answer_as_text(folder: Path, world: World) -> None:
    change_notebook(folder, lambda data: answer_of(data).update(cell_type="markdown"))


@malformed(FULL)
def cells_that_are_no_cells(folder: Path, world: World) -> None:
    odd: list[Any] = [None, 1, "x", [], {}, {"cell_type": "code"}, {"cell_type": "code", "source": 5, "metadata": 3}]
    change_notebook(folder, lambda data: data["cells"].extend(odd))


@malformed(FULL, "settings of the cell total_answer")
def tags_that_skip(folder: Path, world: World) -> None:
    def tag(data: dict[str, Any]) -> None:
        for cell in data["cells"]:
            cell["metadata"]["tags"] = ["skip-execution", "raises-exception", "parameters", "grading"]

    change_notebook(folder, tag)


@malformed({}, "settings")
def points_without_end(folder: Path, world: World) -> None:
    def enrich(data: dict[str, Any]) -> None:
        for cell in data["cells"]:
            if "nbgrader" in cell["metadata"]:
                cell["metadata"]["nbgrader"] |= {"points": 1e9, "grade": True, "solution": False, "locked": False}
        answer_of(data)["source"] = "total = 0"

    change_notebook(folder, enrich)
    change_module(folder, lambda text: WRONG.encode())


@malformed({}, "given cell total was changed")
def checks_of_ones_own(folder: Path, world: World) -> None:
    def replace(data: dict[str, Any]) -> None:
        for cell in data["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") in ("double", "total"):
                cell["source"] = "total = 499500"
                cell["outputs"] = [
                    {"output_type": "execute_result", "data": {"text/plain": "3"}, "metadata": {}, "execution_count": 1}
                ]
        answer_of(data)["source"] = "total = 0"

    change_notebook(folder, replace)
    change_module(folder, lambda text: WRONG.encode())


@malformed({}, "given cell parameters was changed")
def parameters_of_ones_own(folder: Path, world: World) -> None:
    def replace(data: dict[str, Any]) -> None:
        code = {"cell_type": "code", "metadata": {"tags": ["grading"]}, "source": "total = 499500", "outputs": []}
        data["cells"] = [{**cell, "source": "total = 499500; size = 0"} for cell in data["cells"]] + [code]
        answer_of(data)["source"] = "total = 0"

    change_notebook(folder, replace)
    change_module(folder, lambda text: WRONG.encode())


# --- The folder itself --------------------------------------------------------------------------------------


@malformed(NOTHING, "no utilities.py")
def nothing_at_all(folder: Path, world: World) -> None:
    for path in folder.iterdir():
        path.unlink()


@malformed(NOTHING, "is a link to another place")
def a_link_for_a_submission(folder: Path, world: World) -> None:
    folder.rename(folder.with_name("real"))
    folder.symlink_to(world.root / "source" / NAME)


def said(notes: tuple[str, ...], messages: list[str], pattern: str) -> bool:
    """Whether one of the texts that a student reads has the pattern."""
    return re.search(pattern, "\n".join([*notes, *messages])) is not None
