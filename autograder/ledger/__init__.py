"""What makes a recording whole: copies that nbgrader works on, folders that are swapped, open marks, the history."""
