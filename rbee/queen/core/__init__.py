"""Decisions of the queen: pure, without I/O."""
