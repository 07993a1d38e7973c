"""Decisions of the hive: whether a model fits, who is idle too long, who is ill."""
