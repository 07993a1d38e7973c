"""Decisions of the worker: pure, without I/O."""
