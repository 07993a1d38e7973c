"""A text that fills the terminal and is drawn again and again, as by `watch`. What was on the
screen before is there again afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

from rbee.runtime import outputs, safe_text
from rbee.runtime.word_wrap import shortened

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[H\x1b[J\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_SMALLEST = os.terminal_size((80, 24))


def is_possible() -> bool:
    """Whether standard output is a terminal that can be drawn again."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextlib.contextmanager
def full_screen(lines: Callable[[], Sequence[str]], every_s: float) -> Iterator[Callable[[], None]]:
    """Draws `lines` every so many seconds, when the terminal has another size, and when what is
    yielded is called."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def draw() -> None:
        nonlocal timer
        if timer is not None:
            timer.cancel()
        timer = loop.call_later(every_s, draw)
        outputs.write(_screen(lines(), _size()))

    outputs.write(_ENTER)
    loop.add_signal_handler(signal.SIGWINCH, draw)
    try:
        yield draw
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        if timer is not None:
            timer.cancel()
        outputs.write(_LEAVE)


def _screen(lines: Sequence[str], size: os.terminal_size) -> str:
    """The last column stays free: a terminal would break the line there."""
    if len(lines) > size.lines:
        left = len(lines) - size.lines + 1
        lines = [*lines[: size.lines - 1], f"… {left} more lines"]
    shown = [shortened(safe_text.line(line), size.columns - 1) for line in lines]
    return _HOME + "\r\n".join(line + _REST_OF_LINE for line in shown) + _REST_OF_SCREEN


def _size() -> os.terminal_size:
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return _SMALLEST
    return size if size.columns and size.lines else _SMALLEST
