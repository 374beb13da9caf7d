"""Run the public tests of `utilities.py`, the same as in the notebook.

Each part passes, fails (and why), or is not written yet. No network is needed. This is not your mark: the hidden checks
try the same contract with other shapes and values, and the tasks in the notebook have their tests there. Grading does
not use this file.

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
PASSED, FAILED, NOT_WRITTEN = "passed", "failed", "not written yet"
ALL_PASSED = "all public tests passed."
MOST_LINES = 20  # of a message


@dataclasses.dataclass
class Outcome:
    """What the tests said of one part: its state, the reason, and a line of utilities.py to look at."""

    part: str
    state: str
    message: str = ""
    line: int = 1
    seconds: float = 0.0
    printed: str = ""


class CannotRun(Exception):
    """Nothing can be tested: why, what to do, and a line of utilities.py to look at."""

    def __init__(self, message, line=1):
        super().__init__(message)
        self.line = line


def main(words=None):
    """Test the parts, say what came out, and return the exit status."""
    options = parse(words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a message may hold what this terminal cannot show
    try:
        print("Starting TensorFlow, which takes some seconds ...", flush=True)
        module = load()
        outcomes = [tested(module, part, place, options) for place, part in enumerate(options.parts, 1)]
        print("\n" + total(outcomes))
    except CannotRun as reason:
        outcomes = [Outcome("utilities.py", FAILED, str(reason), reason.line)]
        print(reason, *([annotation(outcomes[0])] if options.github else []), sep="\n")
    except KeyboardInterrupt:
        print("\nInterrupted.")
        return 1
    write_files(outcomes, options)
    return int(any(one.state != PASSED for one in outcomes))


def parse(words):
    """Return the options of a command line."""
    first, rest = __doc__.split("\n", 1)
    parser = argparse.ArgumentParser(prog="python check.py", description=first, epilog=rest)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--json", metavar="FILE", help="also write the outcome as JSON")
    parser.add_argument("--junit", metavar="FILE", help="also write the outcome as JUnit XML")
    parser.add_argument("--github", action="store_true", help="also annotate and summarise a job of GitHub Actions")
    options = parser.parse_args(words)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    options.parts = options.parts or list(PARTS)
    return options


def load():
    """Return the student's module."""
    sys.path.insert(0, str(HERE))
    try:
        with quiet():
            importlib.import_module("tensorflow").config.list_physical_devices()
            importlib.import_module("tf_keras").utils.set_random_seed(0)  # the same start in every run
        return importlib.import_module("utilities")
    except ModuleNotFoundError as error:
        if error.name == "utilities":
            raise CannotRun("There is no utilities.py beside check.py. Put both into one folder.") from error
        reason = f"The package {error.name} is not installed. Run: python -m pip install -r requirements.txt"
        raise CannotRun(reason) from error
    except SyntaxError as error:
        raise CannotRun(f"Python cannot read utilities.py, line {error.lineno}: {error.msg}.", error.lineno) from error
    except (Exception, SystemExit) as error:
        line = line_of(error, HERE / "utilities.py")
        raise CannotRun(f"utilities.py cannot be imported, line {line}: {described(error)}", line) from error


@contextlib.contextmanager
def quiet():
    """Drop what TensorFlow's libraries say when they start: lines about processors and CUDA that are no errors."""
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


def tested(module, part, place, options):
    """Run the tests of one part and show what came out."""
    head = f"[{place}/{len(options.parts)}] {part}: "
    if sys.stdout.isatty():
        print(head + "...", end="\r", flush=True)
    outcome = outcome_of(module, part)
    print(head + headline(outcome), flush=True)
    for line in outcome.printed.splitlines():
        print(f"    | {line}")
    if outcome.state == FAILED:
        print("    " + outcome.message.replace("\n", "\n    "))
    if options.github and outcome.state == FAILED:
        print(annotation(outcome), flush=True)
    return outcome


def outcome_of(module, part):
    """Run the tests of one part."""
    started, printed, outcome = time.perf_counter(), io.StringIO(), Outcome(part, PASSED)
    try:
        with contextlib.redirect_stdout(printed):
            for test, settings in PARTS[part]:
                getattr(module, test)(**settings)
    except (Exception, SystemExit) as error:
        outcome = failure(module, part, error)
    outcome.seconds = round(time.perf_counter() - started, 3)
    outcome.printed = "\n".join(line for line in printed.getvalue().splitlines() if not line.endswith(ALL_PASSED))
    return outcome


def failure(module, part, error):
    """Return the outcome of a part whose test raised an error."""
    missing = re.search(r"[\w.]+ is not written yet[^\n]*", str(error))  # Keras puts its own words around ours
    if missing:
        return Outcome(part, NOT_WRITTEN, missing[0], line_of(error, module.__file__))
    if isinstance(error, AttributeError) and str(error).startswith("module 'utilities' has no attribute 'test_"):
        return Outcome(part, FAILED, f"{error}: the public tests at the end of the file belong there.")
    if isinstance(error, AssertionError):  # said by a test, about the part
        return Outcome(part, FAILED, str(error), inspect.getsourcelines(getattr(module, part))[1])
    line = line_of(error, module.__file__)
    return Outcome(part, FAILED, f"utilities.py, line {line}: {described(error)}", line)


def line_of(error, file):
    """Return the line of a file where an error came up, the innermost one; 1 if it is in none."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == Path(file)]
    return lines[-1] if lines else 1


def described(error):
    """Return kind and message of an error, not too long."""
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
    """Return the sum in words."""
    states = [one.state for one in outcomes]
    text = f"{states.count(PASSED)} of {len(states)} parts passed all public tests"
    text += f", {states.count(FAILED)} failed" if FAILED in states else ""
    return text + (f", {states.count(NOT_WRITTEN)} not written yet." if NOT_WRITTEN in states else ".")


def write_files(outcomes, options):
    """Write what the options ask for."""
    if options.json:
        parts = [dataclasses.asdict(one) for one in outcomes]
        Path(options.json).write_text(json.dumps({"parts": parts}, indent=2) + "\n", "utf-8")
    if options.junit:
        Path(options.junit).write_bytes(junit(outcomes))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if options.github and summary:
        lines = [f"{one.part}: {one.state}. {one.message}" for one in outcomes]
        code = "\n".join([total(outcomes), *lines]).splitlines()
        with Path(summary).open("a", encoding="utf-8") as page:
            page.write("\n" + "".join(f"    {line}\n" for line in code))  # indented, Markdown takes it as it is


def junit(outcomes):
    """Return JUnit XML: a test case for each part; what is not written yet is skipped."""
    states = [one.state for one in outcomes]
    counts = {"tests": len(states), "failures": states.count(FAILED), "skipped": states.count(NOT_WRITTEN)}
    suite = ElementTree.Element("testsuite", {"name": "public tests", "errors": "0"})
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    for one in outcomes:
        case = ElementTree.SubElement(suite, "testcase", classname="utilities", name=one.part, time=str(one.seconds))
        message = re.sub("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", one.message)
        if one.state == FAILED:
            ElementTree.SubElement(case, "failure", message=message, type="failed").text = message
        elif one.state == NOT_WRITTEN:
            ElementTree.SubElement(case, "skipped", message=message)
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)


def annotation(outcome):
    """Return a workflow command that shows the reason beside a line of utilities.py on GitHub."""
    message = outcome.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    place = Path(os.path.relpath(HERE / "utilities.py")).as_posix()
    return f"::error file={place},line={outcome.line},title={outcome.part}::{message}"


if __name__ == "__main__":
    sys.exit(main())
