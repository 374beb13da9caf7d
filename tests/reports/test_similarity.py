"""Similar pairs: copies are found whatever was renamed; given code, common code and hostile files do no harm."""

from __future__ import annotations

import ast
import json
import random
from pathlib import Path

import pytest

from autograder.cli import main as cli
from autograder.course.assignment import load_assignment
from autograder.course.snapshot_store import SnapshotStore
from autograder.course.submission import read_submission
from autograder.reports.fingerprints import Part, tokens_of
from autograder.reports.similarity import (
    LONGEST,
    compare,
    given_parts,
    similar_pairs,
    student_parts,
    submissions_to_compare,
)
from tests.tiny import REPOSITORY, TinyCourse, tiny_result

STYLES = {path.stem: path.read_text() for path in (REPOSITORY / "tests/submissions/right").glob("*.py")}
GIVEN = Part("given", "code", (REPOSITORY / "release/vit/lab_tools.py").read_text())


def disguised(text: str) -> str:
    """Another person's copy: other names inside functions, no comments or docstrings, other layout, other order."""
    tree = ast.parse(text)
    definitions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        own = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)} - {"self"}
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in own:
                node.id = f"my_{node.id}"
            elif isinstance(node, ast.arg) and node.arg in own:
                node.arg = f"my_{node.arg}"
        if ast.get_docstring(function) and len(function.body) > 1:
            del function.body[0]
    rest = [node for node in tree.body if node not in definitions]
    random.Random(1).shuffle(definitions)  # noqa: S311 (no secret)
    return ast.unparse(ast.Module([*rest, *definitions], []))


def works(**texts: str) -> dict[str, list[Part]]:
    """Modules by student."""
    return {student: [Part("utilities.py", "code", text)] for student, text in texts.items()}


def test_a_disguised_copy_is_far_more_alike_than_independent_work() -> None:
    pairs = compare(works(**STYLES, copy=disguised(STYLES["einsum"])), [GIVEN], lowest=0.0)
    first, second = pairs[0], pairs[1]
    assert {first.first, first.second} == {"copy", "einsum"}
    assert first.similarity > 0.6 > 0.3 > second.similarity
    assert first.rare > 100


def test_given_code_makes_nobody_alike() -> None:
    given = GIVEN.text
    pairs = compare(works(a=given + "\nx = 1\n", b=given + "\ny = 2\n"), [GIVEN], lowest=0.0)
    assert pairs == []
    assert compare(works(a=given, b=given), lowest=0.0)[0].similarity == 1.0


def test_given_modules_are_given_even_in_a_students_own_file() -> None:
    assignment = load_assignment(REPOSITORY, "vit")
    given = [part for part in given_parts(assignment) if part.name != "given"]
    assert [part.name for part in given] == [
        "experiments.py",
        "lab_tools.py",
        "public_tests.py",
        "utilities.py",
        "utilities.py",
    ]
    tools = given[1].text
    pairs = compare(works(a=tools + STYLES["einsum"], b=tools + STYLES["wide_dense"]), given, lowest=0.0)
    assert all(pair.similarity < 0.3 for pair in pairs)


def test_what_the_whole_class_writes_counts_less_than_what_two_share() -> None:
    common, special = STYLES["by_definition"], STYLES["einsum"]
    own = [STYLES["wide_dense"], STYLES["dense_loops"]]
    class_of = works(a=common + special, b=common + special, c=common + own[0], d=common + own[1], e=common, f=common)
    found = {(pair.first, pair.second): pair.similarity for pair in compare(class_of, lowest=0.0)}
    assert found["a", "b"] == 1.0
    assert found["a", "c"] < 0.35
    assert found["a", "c"] < found["a", "b"] / 2


def test_passages_are_lines_of_both_files() -> None:
    shared = STYLES["einsum"]
    (pair,) = compare(works(a=shared, b="import os\n" * 5 + shared), lowest=0.0)
    (first,), (second,) = pair.first_passages, pair.second_passages
    assert second.first_line - first.first_line == pytest.approx(5, abs=3)
    assert second.last_line - first.last_line == 5
    assert first.part == "utilities.py"


def test_names_do_not_count_but_a_librarys_do() -> None:
    def of(text: str) -> list[str]:
        return [token for token, _ in tokens_of(Part("a", "code", text))]

    assert of("total = tf.matmul(a, b)  # sum\n") == of("x=tf.matmul(q, k)\n\n")
    assert of("x = tf.matmul(a, b)") != of("x = tf.einsum(a, b)")
    assert of("self.width = 2") == of("self.size = 2")


@pytest.mark.parametrize(
    "text", ["def f(:\n  x = (1,\n", "'''never closed", "\x00\x01", "\ud800", "if x:\n\ty\n        z", ""]
)
def test_what_is_not_python_is_compared_all_the_same(text: str) -> None:
    tail = "\n".join(f"value_{n} = other.thing_{n}(1, {n}, 'a')" for n in range(40))
    (pair,) = compare(works(a=text + "\n" + tail, b=text + "\n" + tail), lowest=0.0)
    assert pair.similarity == 1.0


def test_answers_in_words_are_compared_and_only_answers(released_course: TinyCourse) -> None:
    words = " ".join(f"reason{n}" for n in range(200))
    folders: dict[str, Path] = {}
    for student, answer in (("ada", words), ("bob", words.upper()), ("eve", "I do not know.")):
        notebook = released_course.released_notebook()
        notebook["cells"][-1]["source"] = answer
        notebook["cells"].append({"cell_type": "markdown", "metadata": {}, "source": "the same note " * 50})
        folders[student] = released_course.hand_in(student, json.dumps(notebook).encode())
    course, assignment = released_course.course, released_course.assignment
    (pair,) = similar_pairs(assignment, submissions_to_compare(course, assignment, folders, graded=True))
    assert (pair.first, pair.second, pair.similarity) == ("ada", "bob", 1.0)
    assert {passage.part for passage in pair.first_passages} == {"question_01"}


def test_what_was_graded_is_compared_unless_a_folder_is_named(released_course: TinyCourse) -> None:
    course, assignment = released_course.course, released_course.assignment
    folder = released_course.hand_in("ada", None, "graded = 1\n")
    snapshot = read_submission(folder, "tiny", course.settings)
    SnapshotStore(course).save(snapshot)
    released_course.record("ada", folder, tiny_result())
    folders = {"ada": released_course.hand_in("ada", None, "later = 2\n")}
    compared = dict(submissions_to_compare(course, assignment, folders, graded=True))
    assert compared["ada"].module_bytes == b"graded = 1\n"
    compared = dict(submissions_to_compare(course, assignment, folders, graded=False))
    assert compared["ada"].module_bytes == b"later = 2\n"


def test_the_solution_is_not_taken_for_given(released_course: TinyCourse) -> None:
    texts = [part.text for part in given_parts(released_course.assignment)]
    assert not any("sum(range(size))" in text or "Doubling is multiplying" in text for text in texts)
    assert any("NotImplementedError" in text for text in texts)


def test_the_command_ranks_and_writes_json(
    released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for student in ("ada", "bob"):
        released_course.hand_in(student, None, STYLES["einsum"])
    released_course.hand_in("eve", None, STYLES["wide_dense"])
    words = ["similarity", "--course", str(released_course.root), "--assignment", "tiny"]
    assert cli.main([*words, "--json", str(tmp_path / "pairs.json")]) == 0
    shown = capsys.readouterr().out
    assert "100%" in shown
    assert "eve" not in shown
    (pair,) = json.loads((tmp_path / "pairs.json").read_text())
    assert (pair["first"], pair["second"], pair["similarity"]) == ("ada", "bob", 1.0)
    assert pair["first_passages"][0]["part"] == "utilities.py"


def test_of_a_module_without_end_the_beginning_is_compared(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ana", None, "x = 1 + y\n" * 2_000_000)
    snapshot = read_submission(folder, "tiny", released_course.course.settings)
    (module,) = student_parts(released_course.assignment, snapshot)
    assert len(module.text) == LONGEST
