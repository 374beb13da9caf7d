"""Submissions of the lab: right ones, wrong ones and a class to demonstrate with."""
