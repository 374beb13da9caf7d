"""Run the public tests of `utilities.py`, the same ones as in the notebook.

For each part you see whether it passes, fails (and why), or is not written yet. No network is needed. This is not your
mark: hidden checks try the same contract with other shapes and values, and the tasks in the notebook have their tests
there. Grading does not use this file.

Exit status: 0 if all parts pass, 1 if not, 2 for a wrong command line.
"""

import argparse
import contextlib
import dataclasses
import importlib
import inspect
import io
import json
import os
import re
import sys
import time
import traceback
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
PARTS = {  # each part's tests with their arguments, as the notebook calls them
    "scaled_dot_product_attention": [("test_scaled_dot_product_attention", {"seed": 1})],
    "MultiHeadAttention": [("test_MultiHeadAttention", {"seed": 1})],
    "mlp": [("test_mlp", {"seed": 1})],
    "transformerBlock": [
        ("test_TransformerBlock", {"seed": 1, "dropout_rate": 0.1}),
        ("test_TransformerBlock", {"seed": 2, "dropout_rate": 0.0}),
    ],
    "PatchExtractor": [("test_PatchExtractor", {})],
    "PatchEncoder": [("test_PatchEncoder", {"seed": 1})],
    "create_vit_classifier": [("test_create_vit_classifier", {})],
}
FILES = ("utilities", "lab_tools", "public_tests")
PASSED, FAILED, NOT_WRITTEN = "passed", "failed", "not written yet"
ALL_PASSED = "all public tests passed."
MOST_LINES = 20  # of a message


@dataclasses.dataclass
class Outcome:
    """What the tests found out about one part: its state, the reason, and a line of utilities.py to look at."""

    part: str
    state: str
    message: str = ""
    line: int = 1
    seconds: float = 0.0
    printed: str = ""


class CannotRun(Exception):
    """Nothing can be tested; holds the reason, what to do, and a line of utilities.py to look at."""

    def __init__(self, message, line=1):
        super().__init__(message)
        self.line = line


def main(words=None):
    """Test the parts, print the results, and return the exit status."""
    options = parse(words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # for characters that this terminal cannot show
    try:
        print("Starting TensorFlow, which takes some seconds ...", flush=True)
        module, tests = load()
        outcomes = [tested(module, tests, part, options) for part in options.parts]
        print("\n" + total(outcomes))
    except CannotRun as reason:
        outcomes = [Outcome("utilities.py", FAILED, str(reason), reason.line)]
        print(reason, *([annotation(outcomes[0])] if options.github else []), sep="\n")
    except KeyboardInterrupt:
        print("\nInterrupted.")
        return 1
    write_files(outcomes, options)
    return int(any(outcome.state != PASSED for outcome in outcomes))


def parse(words):
    """Return the options of the command line."""
    first, rest = __doc__.split("\n", 1)
    parser = argparse.ArgumentParser(prog="python check.py", description=first, epilog=rest)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--json", metavar="FILE", help="also write the results as JSON")
    parser.add_argument("--junit", metavar="FILE", help="also write the results as JUnit XML")
    parser.add_argument("--github", action="store_true", help="also annotate and summarise a job of GitHub Actions")
    options = parser.parse_args(words)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    options.parts = options.parts or list(PARTS)
    return options


def load():
    """Return the student's module and the module of public tests."""
    sys.path.insert(0, str(HERE))
    try:
        with quiet():
            importlib.import_module("tensorflow").config.list_physical_devices()
            importlib.import_module("tf_keras").utils.set_random_seed(0)  # the same start in every run
        return importlib.import_module("utilities"), importlib.import_module("public_tests")
    except ModuleNotFoundError as error:
        if error.name in FILES:
            raise CannotRun(f"There is no {error.name}.py beside check.py. Put both into one folder.") from error
        reason = f"The package {error.name} is not installed. Run: python -m pip install -r requirements.txt"
        raise CannotRun(reason) from error
    except SyntaxError as error:
        raise CannotRun(f"Python cannot read utilities.py, line {error.lineno}: {error.msg}.", error.lineno) from error
    except (Exception, SystemExit) as error:
        line = line_of(error, HERE / "utilities.py")
        raise CannotRun(f"utilities.py cannot be imported, line {line}: {described(error)}", line) from error


@contextlib.contextmanager
def quiet():
    """Hide what TensorFlow's libraries print when they start: lines about processors and CUDA, which are no errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def tested(module, tests, part, options):
    """Run the tests of one part and show the outcome."""
    head = f"[{options.parts.index(part) + 1}/{len(options.parts)}] {part}: "
    if sys.stdout.isatty():
        print(head + "...", end="\r", flush=True)
    outcome = outcome_of(module, tests, part)
    print(head + headline(outcome), flush=True)
    for line in outcome.printed.splitlines():
        print(f"    | {line}")
    if outcome.state == FAILED:
        print("    " + outcome.message.replace("\n", "\n    "))
    if options.github and outcome.state == FAILED:
        print(annotation(outcome), flush=True)
    return outcome


def outcome_of(module, tests, part):
    """Run the tests of one part and return the outcome."""
    started, printed, outcome = time.perf_counter(), io.StringIO(), Outcome(part, PASSED)
    try:
        with contextlib.redirect_stdout(printed):
            for test, settings in PARTS[part]:
                getattr(tests, test)(**settings)
    except (Exception, SystemExit) as error:
        outcome = failure(module, part, error)
    outcome.seconds = round(time.perf_counter() - started, 3)
    outcome.printed = "\n".join(line for line in printed.getvalue().splitlines() if not line.endswith(ALL_PASSED))
    return outcome


def failure(module, part, error):
    """Return the outcome of a part whose test raised an error."""
    missing = re.search(r"[\w.]+ is not written yet[^\n]*", str(error))  # Keras wraps the message in its own words
    if missing:
        return Outcome(part, NOT_WRITTEN, missing[0], line_of(error, module.__file__))
    if isinstance(error, AttributeError) and str(error).startswith("module 'public_tests' has no attribute 'test_"):
        return Outcome(part, FAILED, f"{error}. Put the public_tests.py that you were given back in its place.")
    if isinstance(error, AssertionError):  # a test's own words about the part
        return Outcome(part, FAILED, str(error), inspect.getsourcelines(getattr(module, part))[1])
    line = line_of(error, module.__file__)
    return Outcome(part, FAILED, f"utilities.py, line {line}: {described(error)}", line)


def line_of(error, file):
    """Return the innermost line of a file that an error passed through; 1 if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == Path(file)]
    return lines[-1] if lines else 1


def described(error):
    """Return the kind and message of an error, shortened."""
    lines = f"{type(error).__name__}: {error}".partition("\n\nCall arguments received by")[0].splitlines()
    return "\n".join([*lines[:MOST_LINES], *(["..."] if len(lines) > MOST_LINES else [])])


def headline(outcome):
    """Return the state of a part in words, on one line."""
    if outcome.state == NOT_WRITTEN:
        name, _, task = outcome.message.partition(f" is {NOT_WRITTEN}")
        if name.partition(".")[0] == outcome.part:
            return NOT_WRITTEN + task
        return f"cannot be tested, since {name} is {NOT_WRITTEN}."
    return ALL_PASSED if outcome.state == PASSED else "a public test failed."


def total(outcomes):
    """Return the numbers of parts that passed, failed and are not written, in words."""
    states = [outcome.state for outcome in outcomes]
    text = f"{states.count(PASSED)} of {len(states)} parts passed all public tests"
    text += f", {states.count(FAILED)} failed" if FAILED in states else ""
    return text + (f", {states.count(NOT_WRITTEN)} not written yet." if NOT_WRITTEN in states else ".")


def write_files(outcomes, options):
    """Write the files that the options ask for."""
    if options.json:
        parts = [dataclasses.asdict(outcome) for outcome in outcomes]
        Path(options.json).write_text(json.dumps({"parts": parts}, indent=2) + "\n", "utf-8")
    if options.junit:
        Path(options.junit).write_bytes(junit(outcomes))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if options.github and summary:
        lines = [f"{outcome.part}: {outcome.state}. {outcome.message}" for outcome in outcomes]
        code = "\n".join([total(outcomes), *lines]).splitlines()
        with Path(summary).open("a", encoding="utf-8") as page:
            page.write("\n" + "".join(f"    {line}\n" for line in code))  # Markdown shows indented text as it is


def junit(outcomes):
    """Return JUnit XML: a test case for each part; parts that are not written yet count as skipped."""
    states = [outcome.state for outcome in outcomes]
    counts = {"tests": len(states), "failures": states.count(FAILED), "skipped": states.count(NOT_WRITTEN)}
    suite = ElementTree.Element("testsuite", {"name": "public tests", "errors": "0"})
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    for outcome in outcomes:
        words = {"classname": "utilities", "name": outcome.part, "time": str(outcome.seconds)}
        case = ElementTree.SubElement(suite, "testcase", words)
        # XML cannot hold all characters, not even escaped.
        message = re.sub("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", outcome.message)
        if outcome.state == FAILED:
            ElementTree.SubElement(case, "failure", message=message, type="failed").text = message
        elif outcome.state == NOT_WRITTEN:
            ElementTree.SubElement(case, "skipped", message=message)
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)


def annotation(outcome):
    """Return the workflow command with which GitHub shows the reason beside a line of utilities.py."""
    message = outcome.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    place = Path(os.path.relpath(HERE / "utilities.py")).as_posix()
    return f"::error file={place},line={outcome.line},title={outcome.part}::{message}"


if __name__ == "__main__":
    sys.exit(main())
