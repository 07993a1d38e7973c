"""Times and sizes as Ollama writes them, and durations as Go does."""

from __future__ import annotations

import re

from rbee.contract.errors import InvalidRequest
from rbee.contract.tasks import keep_alive_s
from rbee.queen.gateway.replies import utc

_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_PART = re.compile(rf"(\d{{1,12}}(?:\.\d{{0,12}})?|\.\d{{1,12}})({'|'.join(_SECONDS)})", re.ASCII)
_DURATION = re.compile(rf"[+-]?(?:{_PART.pattern}){{1,8}}", re.ASCII)
_STEPS = ((1e12, "T", 1), (1e9, "B", 1), (1e6, "M", 2), (1e3, "K", 2))


def rfc3339(unix: float) -> str:
    """A time in seconds since the epoch."""
    return utc(unix).isoformat(timespec="microseconds")[:-6] + "Z"


def nanoseconds(ms: float) -> int:
    """Of milliseconds."""
    return round(ms * 1e6)


def parameter_size(parameters: int) -> str:
    """A count as in "8.0B" or "134.52M"."""
    for size, letter, digits in _STEPS:
        if parameters >= size:
            return f"{parameters / size:.{digits}f}{letter}"
    return str(parameters)


def seconds(keep_alive: float | str) -> float:
    """A number of seconds, or a text such as "90", "5m" or "1h30m"; negative means for ever.
    Raises INVALID_REQUEST."""
    if isinstance(keep_alive, str) and _DURATION.fullmatch(keep_alive):
        total = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(keep_alive))
        return -total if keep_alive.startswith("-") else total
    try:
        return keep_alive_s(keep_alive)
    except ValueError:
        limit = 'seconds, or a text such as "10m"'
        raise InvalidRequest.of("keep_alive", limit, f"Expected {limit}", keep_alive) from None
