"""What is changed in right work: each operator makes one kind of mistake."""
