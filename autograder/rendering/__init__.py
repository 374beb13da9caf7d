"""Views that several rooms share."""
