"""When work is due and when it was handed in: reading times, extensions, and what lateness costs."""
