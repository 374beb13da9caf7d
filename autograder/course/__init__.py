"""What was written by the instructor or handed in."""
