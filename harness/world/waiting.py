"""The one place where the harness waits, so that every wait has a deadline and a last value."""

import http.client
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_BETWEEN_LOOKS_S = 0.02


class NeverHappenedError(AssertionError):
    """The deadline passed; the message shows the last value."""


def wait_until(
    what: str,
    look: Callable[[], T],
    within: float,
    good: Callable[[T], object] = bool,
) -> T:
    """Call `look` until `good` accepts its value, and return that.

    A refused or broken connection counts as "not yet" and is shown if time runs out.
    """
    began = time.monotonic()
    pause = threading.Event()
    while True:
        last: object
        try:
            seen = look()
            if good(seen):
                return seen
            last = seen
        except (OSError, http.client.HTTPException) as error:
            last = error
        if time.monotonic() - began > within:
            raise NeverHappenedError(f"waited {within:g} s for {what}; the last value: {last!r}")
        pause.wait(_BETWEEN_LOOKS_S)


def let_pass(seconds: float) -> None:
    """Wait for a randomly chosen moment, when there is nothing to wait for."""
    threading.Event().wait(seconds)
