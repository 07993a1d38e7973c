"""The clients of one node's workers, kept from one question to the next.

To connect, and to have the worker prove that it knows the key, takes longer than to ask.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from rbee.runtime.client import Client


class _Kept:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.users = 0


class WorkerClients:
    """One client for each address that a worker has had: those that come later have the same
    addresses. A connection ends with its worker, and a new one is proven anew."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    @contextlib.asynccontextmanager
    async def use(self, url: str, connect: Callable[[], Client]) -> AsyncIterator[Client]:
        """The client for `url`, which `connect` makes if there is none yet."""
        kept = self._kept.get(url)
        if kept is None:
            kept = self._kept[url] = _Kept(connect())
        kept.users += 1
        try:
            yield kept.client
        finally:
            kept.users -= 1
            if not kept.users and self._kept.get(url) is not kept:
                await kept.client.close()

    async def forget(self) -> None:
        """Keep none of them any longer; what is under way goes on to its end."""
        kept, self._kept = self._kept, {}
        for each in kept.values():
            if not each.users:
                await each.client.close()
