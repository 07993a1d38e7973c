"""One source, many listeners, bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

_BACKLOG = 1024


class Broadcast(Generic[T]):
    """Sends events to all current listeners. A listener that falls behind by more than 1024 events
    is cut off: its stream ends, and it can listen again and read the state anew."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[T | None]] = set()

    def send(self, event: T) -> None:
        """Hand `event` to every listener; never waits."""
        for queue in list(self._queues):
            if queue.qsize() >= _BACKLOG:
                self._queues.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def close(self) -> None:
        """End every listener's stream."""
        for queue in self._queues:
            queue.put_nowait(None)
        self._queues.clear()

    @contextmanager
    def listen(self) -> Iterator[AsyncIterator[T]]:
        """What is sent from here on; leave the block to stop listening."""
        queue: asyncio.Queue[T | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield self._drain(queue)
        finally:
            self._queues.discard(queue)

    @staticmethod
    async def _drain(queue: asyncio.Queue[T | None]) -> AsyncIterator[T]:
        while (event := await queue.get()) is not None:
            yield event
