"""How fast bytes come."""

from __future__ import annotations

from collections import deque

_WINDOW_S = 3.0
_MB = 1_000_000


class Rate:
    """Over the last three seconds, so that a pause shows and a single read does not."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def mb_per_s(self, now: float, size: int) -> float:
        """MB per second, when `size` bytes are there at `now` (seconds on any clock)."""
        self._seen.append((now, size))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW_S:
            self._seen.popleft()
        began, before = self._seen[0]
        # Less than before: it has begun again.
        return max(0.0, (size - before) / (now - began) / _MB) if now > began else 0.0
