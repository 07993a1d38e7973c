"""The bar at the foot of a terminal: one at a time, gone when its work is.

Drawn with every event and by nothing else: no thread of its own stands in the way of the first
token, and nothing is drawn over what comes after.
"""

from __future__ import annotations

import os
import sys
import time

from rbee.contract.events import Download, Loading, Verify
from rbee.keeper.adapters import outputs
from rbee.keeper.core.bars import Position, line, position

_BETWEEN_S = 0.05
_WIPE = "\r\x1b[K"
_COLUMNS = 80


def can_be_shown() -> bool:
    """Whether standard error is a terminal on which a line can be drawn again."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Bar:
    """Shown while there is something to show, on standard error."""

    def __init__(self) -> None:
        self._position: Position | None = None
        self._drawn_at = 0.0

    @property
    def is_shown(self) -> bool:
        return self._position is not None

    def show(self, event: Download | Loading | Verify) -> None:
        """Move the bar; the last event of a work takes it away."""
        place = position(event)
        if place is None:
            self.end()
            return
        now = time.monotonic()
        is_new = self._position is None or self._position.name != place.name
        self._position = place
        if is_new or place.now or now - self._drawn_at >= _BETWEEN_S:
            self._drawn_at = now
            self._draw()

    def print(self, text: str) -> None:
        """A line above the bar. Only while it is shown."""
        outputs.tell(f"{_WIPE}{text}\n")
        self._draw()

    def end(self) -> None:
        """Wipe it away."""
        if self._position is not None:
            self._position = None
            outputs.tell(_WIPE)

    def _draw(self) -> None:
        assert self._position is not None
        # Each time: the terminal may have another width by now.
        outputs.tell(f"\r{line(self._position, _columns(), *_characters())}\x1b[K")


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return _COLUMNS


def _characters() -> tuple[str, str]:
    try:
        "━─".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return "#", "-"
    return "━", "─"
