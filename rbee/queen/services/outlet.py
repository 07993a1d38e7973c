"""What a task says, on its way to its reader: told at once, or held up by a slow reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from rbee.contract.errors import RbeeError
from rbee.contract.events import Event

_AHEAD = 256


class Outlet:
    """Between the task's course and the stream. `send` waits while 256 events are unread; `tell`
    never waits, and is for the few events that are not tokens."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Event | RbeeError | None, bool]] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AHEAD)

    def tell(self, event: Event) -> None:
        self._queue.put_nowait((event, False))

    async def send(self, event: Event) -> None:
        await self._room.acquire()
        self._queue.put_nowait((event, True))

    def end(self, error: RbeeError | None = None) -> None:
        """Nothing comes any more; `error` is raised to the reader."""
        self._queue.put_nowait((error, False))

    async def read(self) -> AsyncIterator[Event]:
        """Every event, up to the end."""
        while True:
            event, counted = await self._queue.get()
            if event is None:
                return
            if isinstance(event, RbeeError):
                raise event
            yield event
            if counted:
                self._room.release()
