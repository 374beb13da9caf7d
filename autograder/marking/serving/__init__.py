"""The page that people mark on, and its server."""
