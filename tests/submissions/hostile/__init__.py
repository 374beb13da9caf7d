"""Hostile and malformed submissions, and what must hold after each; `tests/sandbox/test_hostile.py` grades them."""
