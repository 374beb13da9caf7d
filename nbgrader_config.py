"""nbgrader and formgrader read only a file of this name; everything stands in course_config.py."""

from autograder.nbgrader_plugins import prepare_nbgrader

load_subconfig("course_config.py")  # type: ignore[name-defined]
prepare_nbgrader(get_config())  # type: ignore[name-defined]
