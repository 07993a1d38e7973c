"""What standard output and standard error can show on a terminal: how wide, drawn again, in colour.

`TERM=dumb` or no TERM means no control sequence at all; `NO_COLOR` means no colours and styles.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

CLEAR_LINE = "\r\x1b[K"
_DEFAULT_COLUMNS = 80
_DIM, _RED, _PLAIN = "\x1b[2m", "\x1b[31m", "\x1b[0m"


def can_redraw() -> bool:
    """Whether standard error is a terminal on which a line can be drawn again."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def columns(stream: TextIO) -> int:
    """How wide the terminal is now; 80 if that can't be known."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_COLUMNS
    except (OSError, ValueError):
        return _DEFAULT_COLUMNS


def dimmed(text: str) -> str:
    """Text for standard error that matters less."""
    return _styled(_DIM, text)


def red(text: str) -> str:
    """Text for standard error that must not be missed."""
    return _styled(_RED, text)


def _styled(style: str, text: str) -> str:
    shows_it = text and can_redraw() and not os.environ.get("NO_COLOR")
    return f"{style}{text}{_PLAIN}" if shows_it else text
