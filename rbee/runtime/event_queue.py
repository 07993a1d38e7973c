"""What a task says, on its way to its reader: told at once, or held up by a slow reader."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from rbee.contract.errors import Internal, RbeeError
from rbee.contract.events import Event
from rbee.runtime.cancellation import stop
from rbee.runtime.log import correlation_id

_AHEAD = 256
_log = logging.getLogger("queen-rbee")


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


async def told(work: Callable[[Outlet], Awaitable[None]]) -> AsyncIterator[Event | None]:
    """What `work` tells, up to its end or its error. A reader that leaves cancels it."""
    outlet = Outlet()

    async def run() -> None:
        try:
            await work(outlet)
            outlet.end()
        except RbeeError as error:
            outlet.end(error)
        except Exception:
            _log.exception("the task failed")
            outlet.end(Internal(correlation_id=correlation_id.get()))

    task = asyncio.create_task(run())
    try:
        yield None
        async for event in outlet.read():
            yield event
        await task
    finally:
        await stop(task)
