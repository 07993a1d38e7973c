"""One source, many listeners, bounded memory: plain events, or the progress of a long work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from rbee.contract.errors import RbeeError, StreamTruncated

T = TypeVar("T")

_BACKLOG = 1024


class Broadcast(Generic[T]):
    """Sends events to all current listeners. A listener that falls behind by more than 1024 events
    is cut off: its stream ends, and it can listen again and read the state anew."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[T | None]] = set()
        self._forwards: set[Callable[[T], None]] = set()

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._queues)

    def send(self, event: T) -> None:
        """Hand `event` to every listener; never waits."""
        for forward in list(self._forwards):
            forward(event)
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

    @contextmanager
    def forward(self, to: Callable[[T], None]) -> Iterator[None]:
        """Call `to` with each event at the moment it is sent, until the block is left. `to` must
        neither wait nor raise."""
        self._forwards.add(to)
        try:
            yield
        finally:
            self._forwards.discard(to)

    @staticmethod
    async def _drain(queue: asyncio.Queue[T | None]) -> AsyncIterator[T]:
        while (event := await queue.get()) is not None:
            yield event


class Progress(Generic[T]):
    """The latest update, and the listeners for the next ones. Belongs to the event loop."""

    def __init__(self, is_last: Callable[[T], bool]) -> None:
        """`is_last` recognizes the update with which the work is done."""
        self._is_last = is_last
        self._latest: T | None = None
        self._failed: RbeeError | None = None
        self._listeners: Broadcast[T | RbeeError] = Broadcast()

    @property
    def latest(self) -> T | None:
        return self._latest

    @property
    def is_over(self) -> bool:
        done = self._latest is not None and self._is_last(self._latest)
        return done or self._failed is not None

    def tell(self, update: T) -> None:
        """Send an update; after the end, nothing is sent."""
        if not self.is_over:
            self._latest = update
            self._listeners.send(update)

    def fail(self, error: RbeeError) -> None:
        if not self.is_over:
            self._failed = error
            self._listeners.send(error)

    async def listen(self) -> AsyncIterator[T | None]:
        """The latest update at once, then all others up to the last. Raises the error that
        ended the work, and STREAM_TRUNCATED if the reader is too slow."""
        with self._listeners.listen() as coming:
            if self._failed is not None:
                raise self._failed
            over = self.is_over  # evaluated now: the work may end while the latest is being read
            yield self._latest
            if over:
                return
            async for update in coming:
                if isinstance(update, RbeeError):
                    raise update
                yield update
                if self._is_last(update):
                    return
            raise StreamTruncated("The progress was read too slowly; ask again.", tokens=0)
