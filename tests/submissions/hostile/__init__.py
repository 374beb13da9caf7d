"""Hostile and malformed submissions, and what must hold after each; `tests/test_hostile.py` grades them."""
