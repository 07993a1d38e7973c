"""What a person types while rbee works: kept for the next prompt, and not echoed in the answer."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from collections.abc import Iterator

_LOCAL_FLAGS, _INPUT_FLAGS = 3, 0


@contextlib.contextmanager
def not_echoed(as_keys: bool = False) -> Iterator[None]:
    """Turn the terminal's echo off for a while. `as_keys`: keep what is typed for a line editor,
    key by key; otherwise Ctrl+D and Enter would not reach it. Ctrl+C still interrupts.

    Without a terminal, or in the background, nothing is changed."""
    if not _is_ours():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    during = list(before)
    during[_LOCAL_FLAGS] &= ~(termios.ECHO | (termios.ICANON if as_keys else 0))
    during[_INPUT_FLAGS] &= ~(termios.ICRNL if as_keys else 0)
    _set(terminal, during)
    try:
        yield
    finally:
        if _is_ours():
            _set(terminal, before)


def _set(terminal: int, attributes: list[int | list[bytes | int]]) -> None:
    with contextlib.suppress(termios.error, OSError):  # the terminal is gone
        termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _is_ours() -> bool:
    """Whether standard input is a terminal that this process may change: a process in the
    background would be stopped."""
    try:
        return sys.stdin is not None and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
