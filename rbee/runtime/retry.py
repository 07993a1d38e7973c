"""How often and how long to try again, as data; the waiting is done by who asks."""

from __future__ import annotations

from collections.abc import Iterator


def doubling(first_s: float, attempts: int) -> Iterator[float]:
    """The pauses before each of `attempts` tries, in seconds: none, then `first_s` doubling."""
    yield 0.0
    for turn in range(attempts - 1):
        yield first_s * 2**turn
