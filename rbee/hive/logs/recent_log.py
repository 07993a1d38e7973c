"""What this program has logged itself, kept for a while: one that an operator started has no log
file that it could read."""

from __future__ import annotations

import logging
from collections import deque

_KEPT = 4096
_LONGEST_LINE = 8192


class OwnLines(logging.Handler):
    """The last 4096 lines, written as they are to standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[tuple[float, str]] = deque(maxlen=_KEPT)
        self._count = 0

    def install(self) -> None:
        """From now on."""
        root = logging.getLogger()
        if root.handlers:
            self.setFormatter(root.handlers[0].formatter)
        root.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            at = max(record.created, self._lines[-1][0] if self._lines else 0.0)
            self._lines.append((at, line[:_LONGEST_LINE]))
            self._count += 1

    def since(self, count: int) -> tuple[int, list[tuple[float, str]]]:
        """How many lines there have been by now, and those of them that came after the first
        `count`, as far as they are kept."""
        self.acquire()
        try:
            new = self._count - count
            return self._count, list(self._lines)[-new:] if new > 0 else []
        finally:
            self.release()
