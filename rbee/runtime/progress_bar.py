"""The progress bar at the foot of a terminal: one at a time, gone when its work is done.

It is drawn with each event and by nothing else: no thread of its own delays the first token, and
nothing is drawn over what comes next.
"""

from __future__ import annotations

import os
import sys
import time

import msgspec

from rbee.contract.events import Download, Loading, Prefill, Verify
from rbee.runtime import outputs

CLEAR_LINE = "\r\x1b[K"
_REDRAW_S = 0.05
_DEFAULT_COLUMNS = 80
# Not wider: a terminal that is made narrower wraps a longer line, which can't be wiped away then.
_MAX_WIDTH = 79
_MIN_BAR = 6
_MB = 1_000_000


class Position(msgspec.Struct, frozen=True):
    """What a bar shows: its name, how far the work is, and the same in words, from long to short.
    `now`: draw it at once and not with the next of many events."""

    name: str
    done: float
    total: float
    words: tuple[str, ...]
    now: bool = False


class ProgressBar:
    """Shown on standard error while there is something to show."""

    def __init__(self) -> None:
        self._position: Position | None = None
        self._drawn_at = 0.0

    @property
    def is_shown(self) -> bool:
        return self._position is not None

    def show(self, event: Download | Loading | Verify | Prefill) -> None:
        """Move the bar; the last event of the work removes it."""
        new = position(event)
        if new is None:
            self.close()
            return
        now = time.monotonic()
        is_new = self._position is None or self._position.name != new.name
        self._position = new
        if is_new or new.now or now - self._drawn_at >= _REDRAW_S:
            self._drawn_at = now
            self._draw(new)

    def print_above(self, text: str) -> None:
        """Print a line above the bar."""
        outputs.write_error(f"{CLEAR_LINE}{text}\n")
        if self._position is not None:
            self._draw(self._position)

    def close(self) -> None:
        """Wipe the bar away."""
        if self._position is not None:
            self._position = None
            outputs.write_error(CLEAR_LINE)

    def _draw(self, shown: Position) -> None:
        # Each time: the terminal may have another width by now.
        outputs.write_error(f"\r{line(shown, _columns(), *_characters())}\x1b[K")


def can_redraw() -> bool:
    """Whether standard error is a terminal on which a line can be drawn again."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def position(event: Download | Loading | Verify | Prefill) -> Position | None:
    """How far the work is; None when it is done."""
    if isinstance(event, Prefill):
        done, total = event.tokens_read, event.tokens_total
        words = f"{done:,} of {total:,} tokens", f"{done:,}/{total:,}", _percent(done, total)
        return Position("reading the prompt", done, total, words)
    if isinstance(event, Loading):
        if event.stage == "ready":
            return None
        done, total = event.layers_loaded or 0, event.layers_total or 0
        layers = f"{done}/{total} layers"
        return Position("loading", done, total, (f"{layers}, {event.vram_mb or 0:.0f} MB", layers))
    if event.stage == "complete":
        return None
    if isinstance(event, Verify):
        done, total = event.bytes_hashed or 0, event.bytes_total or 0
        return Position("verifying", done, total, (_amount(done, total), _percent(done, total)))
    return _download_position(event)


def _download_position(event: Download) -> Position:
    done, total = event.bytes_downloaded or 0, event.bytes_total or 0
    speed = event.speed_mbps or 0.0
    pace = f"{speed:.1f} MB/s"
    if left := _time_left(total - done, speed):
        pace = f"{pace}, {left} left"
    percent = _percent(done, total)
    words = f"{_amount(done, total)}, {pace}", f"{percent}, {pace}", percent
    return Position("downloading", done, total, words, now=event.stage == "retrying")


def line(shown: Position, columns: int, full: str = "━", empty: str = "─") -> str:
    """One line of less than `columns` characters, so that the cursor stays on it: name, bar and
    words, with fewer words the narrower it is. `full` and `empty` are the bar's characters."""
    width = min(columns - 1, _MAX_WIDTH)
    for words in shown.words:
        for name in (f"{shown.name} ", ""):
            room = width - len(name) - len(words) - 1
            if room >= _MIN_BAR:
                filled = int(room * shown.done / shown.total) if shown.total else 0
                bar = full * min(filled, room)
                return f"{name}{bar}{empty * (room - len(bar))} {words}"
    return shown.words[-1][: max(width, 0)]


def _amount(done: int, total: int) -> str:
    return f"{_percent(done, total)}  {done / _MB:.0f}/{total / _MB:.0f} MB"


def _percent(done: int, total: int) -> str:
    return f"{100 * done // total if total else 0} %"


def _time_left(size: int, mb_per_s: float) -> str:
    """Minutes and seconds, and hours if there are any; nothing when it can't be known."""
    if size <= 0 or mb_per_s < 0.05:
        return ""
    minutes, seconds = divmod(round(size / _MB / mb_per_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _DEFAULT_COLUMNS
    except (OSError, ValueError):
        return _DEFAULT_COLUMNS


def _characters() -> tuple[str, str]:
    try:
        "━─".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return "#", "-"
    return "━", "─"
