"""JUnit XML: read with junitparser, without a word that pytest does not write."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import junitparser
import pytest

from autograder.exports.junit import junit_xml
from autograder.results import Outcome
from tests.made_class import made_class
from tests.one_student import hostile, one_student

pytest_plugins = ["pytester"]


def test_junit_is_read_with_every_outcome(tmp_path: Path) -> None:
    outcomes: tuple[Outcome, ...] = ("passed", "failed", "error", "skipped")
    for outcome in outcomes:
        (tmp_path / "junit.xml").write_bytes(junit_xml(one_student(outcome)))
        (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
        (double, total) = list(suite)
        assert (suite.name, suite.tests, double.classname, double.name) == ("ada", 2, "tiny.double", "works")
        found = {type(result).__name__.lower() for result in double.result} or {"passed"}
        assert found == {{"failed": "failure"}.get(outcome, outcome)}
        assert (suite.failures, suite.errors, suite.skipped) == tuple(
            int(outcome == name) for name in ("failed", "error", "skipped")
        )
        assert total.is_passed
        held = {"held": "double"} if outcome == "error" else {}
        assert {entry.name: entry.value for entry in suite.properties()} == {  # type: ignore[no-untyped-call]
            "score": "3.5",
            "late_penalty": "0.5",
        } | held


def test_junit_survives_hostile_texts(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_bytes(junit_xml(hostile()))
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    (case,) = list(suite)
    assert "<script>alert(1)</script>" in case.result[0].message


def test_junit_counts_a_whole_class(tmp_path: Path) -> None:
    marks, _ = made_class(30)
    (tmp_path / "junit.xml").write_bytes(junit_xml(marks))
    suites = list(junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml")))
    assert len(suites) == sum(student.result is not None for student in marks.students)
    for suite in suites:
        written = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()  # type: ignore[no-untyped-call]
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == written


def vocabulary(document: bytes) -> set[tuple[str, str]]:
    """Every element with every attribute it has, and with the element it stands in."""
    root = ET.fromstring(document)  # noqa: S314 (written here)
    attributes = {(element.tag, name) for element in root.iter() for name in element.attrib}
    return attributes | {(parent.tag, f"<{child.tag}>") for parent in root.iter() for child in parent}


def test_junit_has_no_word_that_pytest_does_not_write(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.fixture
        def broken(): raise OSError
        def test_passes(record_testsuite_property): record_testsuite_property("score", 1)
        def test_fails(): assert False
        def test_skips(): pytest.skip()
        def test_breaks(broken): pass
        """
    )
    pytester.runpytest_subprocess("--junitxml=theirs.xml", "-p", "no:cacheprovider")
    theirs = vocabulary((pytester.path / "theirs.xml").read_bytes())
    outcomes: tuple[Outcome, ...] = ("passed", "failed", "error", "skipped")
    ours = set().union(*(vocabulary(junit_xml(one_student(outcome))) for outcome in outcomes))
    assert ours <= theirs | {("failure", "type"), ("error", "type")}  # the schema has these; pytest leaves them out
