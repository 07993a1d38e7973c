"""Events on their way from the work that makes them to the stream that one reader follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from rbee.contract.errors import RequestCanceled
from rbee.contract.events import Event
from rbee.runtime.concurrency import stop

_UNREAD = 256


class EventQueue:
    """Between a piece of work and its reader. `put` waits while 256 events are unread; `put_nowait`
    never waits, and is for the few events that are not tokens or log lines."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Event | Exception | None, bool]] = asyncio.Queue()
        self._free = asyncio.Semaphore(_UNREAD)

    def put_nowait(self, event: Event) -> None:
        self._queue.put_nowait((event, False))

    async def put(self, event: Event) -> None:
        await self._free.acquire()
        self._queue.put_nowait((event, True))

    def close(self, error: Exception | None = None) -> None:
        """Nothing comes after this; `error` is raised to the reader."""
        self._queue.put_nowait((error, False))

    async def read(self) -> AsyncIterator[Event]:
        """Every event, until the queue is closed."""
        while True:
            event, counted = await self._queue.get()
            if event is None:
                return
            if isinstance(event, Exception):
                raise event
            yield event
            if counted:
                self._free.release()


async def run_as_stream(
    work: Callable[[EventQueue], Awaitable[None]],
) -> AsyncIterator[Event | None]:
    """The events that `work` puts into its queue, until it ends or raises. The stream opens at once
    (with None). A reader that leaves cancels the work."""
    events = EventQueue()

    async def run() -> None:
        try:
            await work(events)
        except asyncio.CancelledError:
            events.close(RequestCanceled())
            raise
        except Exception as error:
            events.close(error)
        else:
            events.close()

    task = asyncio.create_task(run())
    try:
        yield None
        async for event in events.read():
            yield event
    finally:
        await stop(task)
