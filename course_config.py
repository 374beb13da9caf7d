"""The course's settings: nbgrader's own, and the autograder's. The one file an instructor edits.

Lines that are commented out show the default, but for the gradebook's address, an example. nbgrader and formgrader
read this file through nbgrader_config.py.
"""

from pathlib import Path

c = get_config()  # type: ignore[name-defined]  # noqa: F821 (given by the reader of this file)

course = Path(__file__).resolve().parent

# --- The course ---------------------------------------------------------------------------------------------

c.CourseDirectory.course_id = "vision-transformers"

# The folder with source/, release/, submitted/ ...: always this one, wherever a command or a Jupyter server is started.
c.CourseDirectory.root = str(course)

# The gradebook. Default: the file gradebook.db in this folder. For several instructors at once use PostgreSQL
# (pip install "psycopg[binary]"). The password belongs in ~/.pgpass, not here.
# c.CourseDirectory.db_url = "postgresql+psycopg://grader@db.example.org/gradebook"

# --- Release: what students see instead of a solution -------------------------------------------------------

c.ClearSolutions.code_stub = {"python": '# YOUR CODE HERE\nraise NotImplementedError("This cell is not written yet.")'}
c.ClearSolutions.text_stub = "*Your answer here.*"

# Rubrics stand in the metadata of the source notebook; released notebooks are written without them.
c.GenerateAssignment.exporter_class = "autograder.nbgrader_plugins.ReleaseExporter"

# --- Grading: nbgrader records and shows, the autograder runs and checks ------------------------------------

# Without this nbgrader replaces each student's module with the empty one. The given modules are not named here:
# nbgrader replaces them with the course's own, which grading uses anyway.
c.Autograde.exclude_overwriting = {
    folder.name: ["utilities.py"] for folder in (course / "solutions").glob("*") if folder.is_dir()
}

# Reading: put the release's cells and metadata back into the student's notebook, whatever happened to it. This also
# has nbgrader work on copies, so that old marks and graded notebooks stay until the new ones are there.
c.Autograde.exporter_class = "autograder.nbgrader_plugins.SubmissionExporter"

# Grading, in this order:
c.Autograde.autograde_preprocessors = [
    "autograder.nbgrader_plugins.RecordGrades",  # scores and reasons, instead of running the notebook here
    "nbgrader.preprocessors.AssignLatePenalties",  # needs the scores
    "nbgrader.preprocessors.CheckCellMetadata",  # last: nothing malformed is written
]

# Feedback for students: nbgrader's page without the marking guides, which only markers see, in formgrader.
c.GenerateFeedback.exporter_class = "autograder.nbgrader_plugins.FeedbackExporter"

# Marks as CSV: quoted, safe for spreadsheets, late penalties recalculated. nbgrader's own plugin quotes nothing.
c.ExportApp.plugin_class = "autograder.nbgrader_plugins.QuotedCsvExport"

# Pages with a student's text in them, formgrader's included, are cleaned of all that a browser could run or load.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {
    name: f"autograder.nbgrader_plugins.{name}" for name in ("clean_html", "highlight_code", "markdown2html")
}

# --- The autograder -----------------------------------------------------------------------------------------

# The assignment that a command uses if you name none.
# c.Autograder.assignment = "vit"

# The zone of dates that name none, such as due dates, and in which dates are shown; `timestamp.txt` is in UTC.
# c.Autograder.timezone = "UTC"

# "required": student code runs confined, or not at all. "none": it runs without confinement, and every result says so.
# c.Autograder.sandbox = "required"

# Layers of confinement that must be there. `python -m autograder doctor` says which of them this machine has.
# "memory" is a control group if one is delegated, else a watchdog; name "cgroup" or "watchdog" to insist on one.
# c.Autograder.required_layers = ["namespaces", "landlock", "seccomp", "rlimits", "memory"]

# "auto" uses a GPU if there is one, though that may take longer (docs/gpu.md); "cpu" never does; "gpu" insists on one.
# c.Autograder.device = "auto"

# Submissions graded at once. 0: as many as memory and processors allow.
# c.Autograder.jobs = 0

# Wall-clock limits in seconds: one question to a submission, its import, one training run, the whole submission.
# c.Autograder.request_seconds = 20.0
# c.Autograder.load_seconds = 30.0
# c.Autograder.training_seconds = 40.0
# c.Autograder.submission_seconds = 300.0

# What a student process may use: memory beyond TensorFlow's own, size and number of files it writes, processes and
# threads, open files.
# c.Autograder.memory_mib = 6144
# c.Autograder.scratch_mib = 512
# c.Autograder.scratch_files = 20_000
# c.Autograder.max_processes = 512
# c.Autograder.max_descriptors = 1024

# Most that is read: one answer of a student process; then the module, the notebook (without its outputs if they make it
# larger), and all other files together, none above 8 MiB; and the number of files. Feedback names what is left out.
# c.Autograder.max_reply_mib = 64
# c.Autograder.max_submission_mib = 64
# c.Autograder.max_submission_files = 500
