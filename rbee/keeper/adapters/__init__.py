"""The terminal, and files that are written for the person."""
