"""A command's time with the queen."""
