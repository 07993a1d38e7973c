"""When a log line was written, from the timestamp that it carries."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

# 2026-01-31T12:00:00.000
_LENGTH = 23


class _Json(msgspec.Struct):
    time: float


def timestamp(line: str) -> float | None:
    """Seconds since the epoch; None for a line that is not rbee's, or the rest of a longer one."""
    if line.startswith("{"):
        with contextlib.suppress(msgspec.MsgspecError):
            return msgspec.json.decode(line, type=_Json).time
    elif line[10:11] == "T" and line[19:20] == ".":
        with contextlib.suppress(ValueError, OverflowError):
            return datetime.fromisoformat(line[:_LENGTH]).timestamp()
    return None


def with_times(lines: Iterable[str], at: float | None) -> Iterator[tuple[float | None, str]]:
    """Each line of one source with its time, which never decreases; `at` is that of the line
    before. Lines before the first timestamp get the time of that one."""
    waiting: list[str] = []
    for line in lines:
        own = timestamp(line)
        if own is not None:
            at = own if at is None else max(at, own)
        if at is None:
            waiting.append(line)
            continue
        yield from ((at, before) for before in waiting)
        waiting.clear()
        yield at, line
    yield from ((None, before) for before in waiting)
