"""How far the load is, for whoever wants to hear of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rbee.contract.errors import RbeeError
from rbee.contract.events import Event, Loading
from rbee.runtime.broadcast import Broadcast


class Progress:
    """The latest progress, and everyone who wants to hear of the next. On the event loop."""

    def __init__(self) -> None:
        self._latest: Loading | None = None
        self._ended: RbeeError | None = None
        self._listeners: Broadcast[Loading | RbeeError] = Broadcast()

    def tell(self, loading: Loading) -> None:
        """Progress; nothing is told after the end."""
        if self._ended is None and (self._latest is None or self._latest.stage != "ready"):
            self._latest = loading
            self._listeners.send(loading)

    def fail(self, error: RbeeError) -> None:
        self._ended = error
        self._listeners.send(error)

    async def listen(self) -> AsyncIterator[Event | None]:
        """The latest at once, then each step up to `ready`; raises why the load failed."""
        with self._listeners.listen() as coming:
            if self._ended is not None:
                raise self._ended
            yield self._latest
            if self._latest is not None and self._latest.stage == "ready":
                return
            async for news in coming:
                if isinstance(news, RbeeError):
                    raise news
                yield news
                if news.stage == "ready":
                    return
