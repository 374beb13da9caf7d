"""All that touches nbgrader's database."""
