"""What the code of a notebook's cell says, read off its text: nothing is run."""
