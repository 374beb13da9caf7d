"""The submission's notebook, run in its student process."""
