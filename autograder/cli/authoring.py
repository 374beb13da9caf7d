"""Commands that make an assignment: `build` and `release`."""

from __future__ import annotations

from autograder.cli.arguments import Options
from autograder.cli.course import open_course
from autograder.cli.output import err, out, write_paths
from autograder.cli.progress_bar import shown


def build(options: Options) -> int:
    """Make `source/` from `solutions/`."""
    from autograder.release.build import build as make_source

    course, name = open_course(options)
    paths = make_source(course.root, name)
    for path in paths:
        out.print(f"built {path.relative_to(course.root)}")
    write_paths(options, name, paths)
    return 0


def release(options: Options) -> int:
    """Make `release/` and register it in the gradebook."""
    from autograder.grading.result_store import grader_for
    from autograder.release.publish import release as make_release

    course, name = open_course(options)
    assignment = course.assignment(name)
    with shown("releasing", err, quiet=options.quiet, alike=False) as progress:
        folder = make_release(course, assignment, grader_for(course, name).grade, progress)
    out.print(f"released {folder.relative_to(course.root)}: the solutions get full marks, the stubs 0, nothing leaks.")
    write_paths(options, name, sorted(path for path in folder.rglob("*") if path.is_file()))
    return 0
