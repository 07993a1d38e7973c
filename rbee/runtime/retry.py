"""Retry schedules as data; the caller does the waiting."""

from __future__ import annotations

from collections.abc import Iterator


def doubling(first_s: float, attempts: int) -> Iterator[float]:
    """The pauses before each of `attempts` attempts, in seconds: none, then `first_s`, doubling."""
    yield 0.0
    for turn in range(attempts - 1):
        yield first_s * 2**turn
