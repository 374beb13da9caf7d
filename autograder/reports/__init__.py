"""What instructors read of a class."""
