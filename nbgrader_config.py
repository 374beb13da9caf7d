"""nbgrader and formgrader read only a file of this name; everything stands in course_config.py."""

load_subconfig("course_config.py")  # type: ignore[name-defined]
