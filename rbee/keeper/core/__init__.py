"""Decisions of the keeper: pure, without I/O."""
