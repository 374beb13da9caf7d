"""Many submissions, graded in parallel."""
