"""Trying the hidden checks on right and wrong work."""
