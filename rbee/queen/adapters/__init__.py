"""The I/O that only the queen does."""
