"""Notices a scheduler that stands still while tasks wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

LIMIT_S = 5.0
_LOOK_EVERY_S = 1.0
_log = logging.getLogger("queen-rbee")


class Watchdog:
    """`undecided_s` tells for how many seconds nothing has been decided while tasks wait; more than
    `limit_s` is a stall."""

    def __init__(
        self,
        undecided_s: Callable[[], float],
        limit_s: float = LIMIT_S,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._undecided_s = undecided_s
        self._limit_s = limit_s
        self._look_every_s = look_every_s

    @property
    def is_stalled(self) -> bool:
        """At this moment."""
        return self._undecided_s() > self._limit_s

    async def watch(self) -> None:
        """Log each stall once, and its end, for as long as the queen runs."""
        was_stalled = False
        while True:
            await asyncio.sleep(self._look_every_s)
            if self.is_stalled == was_stalled:
                continue
            was_stalled = not was_stalled
            if was_stalled:
                said = "the scheduler stands still: no decision for %.1f s while tasks wait"
                _log.error(said, self._undecided_s())
            else:
                _log.info("the scheduler decides again")
