"""Wrong submissions, one module for each task."""
