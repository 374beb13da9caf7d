"""The command line: `python -m autograder COMMAND`. Each command is a thin call into the package.

Exit status: 0 done, 1 an internal error or a problem of the machine, 2 wrong usage. Standard output holds what a
command found or made, standard error what went wrong and how far it is. `--json` writes the same for programs,
`--quiet` leaves out the text and the progress.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autograder.cli import authoring, class_views, grading, inspection, marks_over_time, platforms
from autograder.cli.arguments import Command, Options, read_words
from autograder.cli.output import complain, out
from autograder.errors import AutograderError, ConfigError, UsageError

_TABLE: tuple[Command[Any], ...] = (
    Command("build", Options, authoring.build, "make source/ from solutions/", ["build"]),
    Command(
        "release",
        Options,
        authoring.release,
        "make release/ and register it in the gradebook",
        ["release"],
        "0 released, 1 refused, or an internal error or a problem of the machine, 2 wrong usage.",
    ),
    Command(
        "check",
        grading.CheckOptions,
        grading.check,
        "grade one folder or file; records nothing",
        ["check work/vit", "check utilities.py --json result.json"],
        "0 graded, whatever the marks, 1 an internal error or a problem of the machine, 2 wrong usage.",
    ),
    Command(
        "collect",
        platforms.CollectOptions,
        platforms.collect,
        "put what a platform gave you to download into submitted/",
        ["collect moodle.zip --roster worksheet.csv", "collect submissions.zip --times times.csv --dry-run"],
        "0 all collected, 1 some were not (the last lines say which and why), or an internal error or a\n"
        "problem of the machine, 2 wrong usage.",
    ),
    Command(
        "grade",
        grading.GradeOptions,
        grading.grade,
        "grade submissions and record their marks",
        ["grade", "grade --preview", "grade student-1 --submitted submitted --jobs 4"],
        "0 all graded, whatever the marks, 1 some could not be graded or recorded (the last lines say\n"
        "which and why), 2 wrong usage. A preview ends with 0, whatever it shows.",
    ),
    Command(
        "extend",
        authoring.ExtendOptions,
        authoring.extend,
        "grant a student extra time, list it, or undo it",
        ["extend", "extend student-1 2030-05-10 18:00", "extend student-1 +3d", "extend student-1 none"],
    ),
    Command(
        "history",
        marks_over_time.HistoryOptions,
        marks_over_time.history,
        "say what changed a student's marks, when and why",
        ["history student-1", "history student-1 attention"],
    ),
    Command(
        "mark",
        class_views.MarkOptions,
        class_views.mark,
        "open the page on which people mark the answers in words",
        ["mark", "mark --port 8899 --no-browser"],
        "0 stopped by you, 1 an internal error or a problem of the machine, 2 wrong usage.",
    ),
    Command(
        "feedback",
        class_views.FeedbackOptions,
        class_views.feedback,
        "write feedback/ for students",
        ["feedback", "feedback student-1 student-2"],
    ),
    Command(
        "report", class_views.ReportOptions, class_views.report, "write the class report for instructors", ["report"]
    ),
    Command(
        "export",
        platforms.ExportOptions,
        platforms.export,
        "write marks or feedback for other tools",
        ["export canvas --fill gradebook.csv", "export feedback --for moodle --roster worksheet.csv"],
        "0 written, 1 somebody had to be left out (the last lines say who), or an internal error or a\n"
        "problem of the machine, 2 wrong usage.",
    ),
    Command(
        "similarity",
        class_views.SimilarityOptions,
        class_views.similarity,
        "rank pairs whose own work is alike",
        ["similarity"],
    ),
    Command(
        "audit",
        inspection.AuditOptions,
        inspection.audit,
        "try the hidden checks on the corpus of right and wrong work",
        ["audit attention --matrix"],
        "0 the checks are fair, 1 they are not, or an internal error or a problem of the machine,\n2 wrong usage.",
    ),
    Command(
        "doctor",
        inspection.DoctorOptions,
        inspection.doctor,
        "say what this machine can do",
        ["doctor"],
        "0 all that is needed is there, 1 something is missing, 2 wrong usage.",
    ),
)
COMMANDS: Mapping[str, Command[Any]] = {command.name: command for command in _TABLE}
"""All commands, in the order in which the help lists them."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status. Here errors become text.

    Args:
        words: The command line without the program's name; by default the process's own.
    """
    options = read_words(sys.argv[1:] if words is None else words, COMMANDS)
    out.quiet = options.quiet or options.prints_json
    try:
        return COMMANDS[options.command].run(options)
    except (UsageError, ConfigError) as error:
        complain(str(error))
        return 2
    except AutograderError as error:
        complain(str(error))
    except ImportError as error:
        complain(f"{error}. {_import_remedy()}")
    except OSError as error:
        complain(f"{error}. What was recorded so far stays. Fix that, then run the same command again.")
    except KeyboardInterrupt:
        complain("interrupted; what was recorded so far stays. Run the same command again to go on.")
    return 1


def _import_remedy() -> str:
    if platform.system() == "Linux":
        return "Run: make install"
    return f"This needs Linux, and this is {platform.system()}: use Linux, a virtual machine, or WSL 2 on Windows."
