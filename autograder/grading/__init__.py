"""From one submission to one result."""
