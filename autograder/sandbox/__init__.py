"""Confinement of student processes."""
