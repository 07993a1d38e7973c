"""What a node's hive tells: heard by whoever listens, and its workers' ends kept for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict

from rbee.contract import endpoints as ep
from rbee.contract.errors import ConnectionTimeout, InvalidApiKey, NotOurs, RbeeError
from rbee.contract.events import Event
from rbee.contract.workers import WorkerGone, WorkerRow
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.cancellation import stop
from rbee.runtime.client import Client, address
from rbee.runtime.log import uncorrelated

_WORD_OF_END_WITHIN_S = 3.0
_AGAIN_S = 0.1
_REMEMBERED = 256
_log = logging.getLogger("queen-rbee")


class News:
    """Of one node. `events` has what is told from now on, `workers` the ids of those that run."""

    def __init__(self, node: str, everywhere: Broadcast[Event]) -> None:
        self.events: Broadcast[Event] = Broadcast()
        self.workers: set[str] = set()
        self._node = node
        self._everywhere = everywhere
        self._following: asyncio.Task[None] | None = None
        self._gone: OrderedDict[str, WorkerGone] = OrderedDict()

    @property
    def is_followed(self) -> bool:
        return self._following is not None and not self._following.done()

    async def follow(self, client: Client, within_s: float) -> None:
        """Begin to hear what the hive tells. Raises CONNECTION_TIMEOUT."""
        begun = asyncio.Event()
        self._following = asyncio.create_task(self._follow(client, begun), context=uncorrelated())
        waiting = asyncio.create_task(begun.wait())
        try:
            await asyncio.wait(
                {waiting, self._following}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        if not begun.is_set():
            host, port = address(client.url)
            raise ConnectionTimeout(host=host, port=port, attempts=1)

    async def gone(self, worker_id: str) -> WorkerGone | None:
        """How a worker ended; None where no word of its end comes within 3 s."""
        with self.events.listen() as coming, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WORD_OF_END_WITHIN_S):
                if worker_id not in self._gone and self.is_followed:
                    async for event in coming:
                        if isinstance(event, WorkerGone) and event.worker_id == worker_id:
                            break
        return self._gone.get(worker_id)

    async def stop(self) -> None:
        if self._following is not None:
            await stop(self._following)
            self._following = None

    def cut(self) -> None:
        """Hear no more: the hive is known to be gone."""
        if self._following is not None:
            self._following.cancel()

    async def _follow(self, client: Client, begun: asyncio.Event) -> None:
        """Until it is gone; a stream that broke is taken up again."""
        while True:
            try:
                async with client.stream(ep.HIVE_EVENTS) as events:
                    begun.set()
                    async for event in events:
                        self._hear(event)
            except (ConnectionTimeout, InvalidApiKey, NotOurs) as error:  # or another is there now
                _log.warning("the hive on %s is gone: %s", self._node, error)
                return
            except RbeeError as error:
                _log.warning("the events of the hive on %s broke off: %s", self._node, error)
            await asyncio.sleep(_AGAIN_S)

    def _hear(self, event: Event) -> None:
        if isinstance(event, WorkerRow):
            self.workers.add(event.id)
        if isinstance(event, WorkerGone):
            self.workers.discard(event.worker_id)
            self._gone[event.worker_id] = event
            while len(self._gone) > _REMEMBERED:
                self._gone.popitem(last=False)
        self.events.send(event)
        self._everywhere.send(event)
