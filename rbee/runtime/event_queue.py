"""Events on their way from the work that makes them to the stream that one reader follows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from rbee.contract.errors import RequestCanceled
from rbee.contract.events import Event
from rbee.runtime.concurrency import stop

_UNREAD = 256


class EventQueue:
    """Between a piece of work and its reader. `put` waits while 256 events are unread, until half
    of them are read; `put_nowait` never waits, and is for the few events that are not tokens or log
    lines. A token costs little here: asyncio's queue and semaphore take three times as long."""

    def __init__(self) -> None:
        self._unread: deque[Event | Exception | None] = deque()
        self._room = asyncio.Event()
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, event: Event) -> None:
        self._add(event)

    async def put(self, event: Event) -> None:
        while len(self._unread) >= _UNREAD:
            self._room.clear()
            await self._room.wait()
        self._add(event)

    def close(self, error: Exception | None = None) -> None:
        """Nothing comes after this; `error` is raised to the reader."""
        self._add(error)

    async def read(self) -> AsyncIterator[Event]:
        """Every event, until the queue is closed."""
        unread = self._unread
        while True:
            if not unread:
                self._reader = asyncio.get_running_loop().create_future()
                await self._reader
                continue
            event = unread.popleft()
            if len(unread) == _UNREAD // 2:
                self._room.set()
            if event is None:
                return
            if isinstance(event, Exception):
                raise event
            yield event

    def _add(self, event: Event | Exception | None) -> None:
        self._unread.append(event)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


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
