"""How far a piece of work is, as one line that fits the terminal."""

from __future__ import annotations

import msgspec

from rbee.contract.events import Download, Loading, Verify

_MB = 1_000_000
# No wider: a terminal that is made narrower folds what is wider, and a fold can't be wiped away.
_WIDEST = 79
_SHORTEST_BAR = 6


class Position(msgspec.Struct, frozen=True):
    """What a bar shows: its name, how far it is, and the same in words, from long to short.
    `now`: it is drawn at once, and not with the next of many."""

    name: str
    done: float
    total: float
    words: tuple[str, ...]
    now: bool = False


def position(event: Download | Loading | Verify) -> Position | None:
    """Where the work stands; None where it is at its end."""
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
        return Position("verifying", done, total, (_of(done, total), _percent(done, total)))
    return _fetched(event)


def _fetched(event: Download) -> Position:
    done, total = event.bytes_downloaded or 0, event.bytes_total or 0
    speed = event.speed_mbps or 0.0
    pace = f"{speed:.1f} MB/s"
    if left := _left(total - done, speed):
        pace = f"{pace}, {left} left"
    percent = _percent(done, total)
    words = f"{_of(done, total)}, {pace}", f"{percent}, {pace}", percent
    return Position("downloading", done, total, words, now=event.stage == "retrying")


def line(place: Position, columns: int, full: str = "━", empty: str = "─") -> str:
    """One line of less than `columns`, so that the cursor stays on it too: name, bar and all of the
    words, and the less of them the narrower it is. `full` and `empty` are the bar's characters."""
    width = min(columns - 1, _WIDEST)
    for words in place.words:
        for name in (f"{place.name} ", ""):
            room = width - len(name) - len(words) - 1
            if room >= _SHORTEST_BAR:
                filled = int(room * place.done / place.total) if place.total else 0
                bar = full * min(filled, room)
                return f"{name}{bar}{empty * (room - len(bar))} {words}"
    return place.words[-1][: max(width, 0)]


def _of(done: int, total: int) -> str:
    return f"{_percent(done, total)}  {done / _MB:.0f}/{total / _MB:.0f} MB"


def _percent(done: int, total: int) -> str:
    return f"{100 * done // total if total else 0} %"


def _left(size: int, mb_per_s: float) -> str:
    """Minutes and seconds, or hours too; nothing where it can't be told."""
    if size <= 0 or mb_per_s < 0.05:
        return ""
    minutes, seconds = divmod(round(size / _MB / mb_per_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
