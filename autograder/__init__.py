"""Grade a deep-learning lab behind a wall: student code in one process, hidden checks in another."""

__version__ = "0.1.0"
