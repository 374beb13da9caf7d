"""Building an assignment and releasing it to students."""
