"""A progress bar: what it says of a piece of work, and how that fits in one line of a terminal."""

from __future__ import annotations

import msgspec

from rbee.contract.events import Download, Loading, Prefill, Verify
from rbee.runtime import safe_text

# Not wider: a terminal that is made narrower wraps a longer line, which can't be wiped away then.
MAX_WIDTH = 79
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
    where = f" from {safe_text.line(event.from_node)}" if event.from_node else ""
    return Position(f"downloading{where}", done, total, words, now=event.stage == "retrying")


def line(shown: Position, columns: int, full: str = "━", empty: str = "─") -> str:
    """One line of less than `columns` characters, so that the cursor stays on it: name, bar and
    words, with fewer words the narrower it is. `full` and `empty` are the bar's characters."""
    width = min(columns - 1, MAX_WIDTH)
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
