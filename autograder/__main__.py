"""`python -m autograder`."""

import io
import sys

import autograder


def run() -> int:
    """Run the command line; also in a course folder elsewhere, whose `autograder/checks` hides the package."""
    if getattr(autograder, "__file__", None) is None:
        sys.path.pop(0)  # the working directory, where `python -m` looks first
        del sys.modules["autograder"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    # A grammar of addresses: jsonschema does without, and it takes a second to make whenever nbformat is imported.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    from autograder.cli.main import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
