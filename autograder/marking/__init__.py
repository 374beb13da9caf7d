"""Marking by hand: answers of a class in groups of alike ones, on a page that serves this machine alone."""
