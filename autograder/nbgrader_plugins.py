"""What nbgrader finds by a dotted name in a course's settings; this module only hands the names on.

It is also where nbgrader's own commands and formgrader come by our changes to nbgrader.
"""

from autograder.exports.csv_plugin import QuotedCsvExport
from autograder.feedback.exporter import FeedbackExporter
from autograder.gradebook.autograding import RecordGrades, SubmissionExporter
from autograder.gradebook.nbgrader_adaptation import adapt_nbgrader
from autograder.gradebook.nbgrader_steps import prepare_nbgrader
from autograder.release.exporter import ReleaseExporter
from autograder.rendering.sanitising import clean_html, highlight_code, markdown2html

__all__ = [
    "FeedbackExporter",
    "QuotedCsvExport",
    "RecordGrades",
    "ReleaseExporter",
    "SubmissionExporter",
    "clean_html",
    "highlight_code",
    "markdown2html",
    "prepare_nbgrader",
]

adapt_nbgrader()
