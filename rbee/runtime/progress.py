"""The progress of a long piece of work, for any number of listeners."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from rbee.contract.errors import RbeeError, StreamTruncated
from rbee.runtime.broadcast import Broadcast

T = TypeVar("T")


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

    def tell(self, news: T) -> None:
        """Send an update; after the end, nothing is sent."""
        if not self.is_over:
            self._latest = news
            self._listeners.send(news)

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
            async for news in coming:
                if isinstance(news, RbeeError):
                    raise news
                yield news
                if self._is_last(news):
                    return
            raise StreamTruncated("The progress was read too slowly; ask again.", tokens=0)
