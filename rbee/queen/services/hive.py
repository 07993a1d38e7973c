"""The queen's end of one node's hive: found or started, followed, and ended if it is our own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import OrderedDict

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.daemons import Hello
from rbee.contract.errors import (
    ConnectionTimeout,
    Internal,
    InvalidApiKey,
    RbeeError,
    ShuttingDown,
)
from rbee.contract.events import Event
from rbee.contract.versions import check
from rbee.contract.workers import WorkerGone, WorkerRow, WorkerRows
from rbee.runtime import bind, child, paths
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.client import Client, address
from rbee.runtime.narration import Narrator
from rbee.runtime.tasks import stop

_PROGRAM = "rbee-hive"
_ASK_WITHIN_S = 2.0
_LIST_WITHIN_S = 5.0
_WORD_OF_END_WITHIN_S = 3.0
_REMEMBERED = 256
_log = logging.getLogger("queen-rbee")


class Hive:
    """A node's hive. `up` makes sure that it runs; everything else is asked of it afresh."""

    def __init__(self, node: str, config: Config, key: str, events: Broadcast[Event]) -> None:
        self.node = node
        self.key = key
        self.events: Broadcast[Event] = Broadcast()
        self.placing = asyncio.Lock()
        self._config = config
        self._all_events = events
        self._changing = asyncio.Lock()
        self._ending = False
        self._doubted = False
        self._client: Client | None = None
        self._child: child.Child | None = None
        self._following: asyncio.Task[None] | None = None
        self._gone: OrderedDict[str, WorkerGone] = OrderedDict()

    def client(self, url: str) -> Client:
        """A client for a program of this node."""
        times = self._config.times
        return Client(url, self.key, times.connect_s, times.stream_silence_s)

    @property
    def own(self) -> Client:
        """The hive itself. Only after `up`."""
        if self._client is None:
            raise ConnectionTimeout(host=self.node, port=self._config.hive.port, attempts=1)
        return self._client

    @property
    def is_up(self) -> bool:
        followed = self._following is not None and not self._following.done()
        return followed and (self._child is None or self._child.is_running)

    async def up(self, narrator: Narrator) -> None:
        """Find the node's hive, or start one. Raises why there is none, and SHUTTING_DOWN once
        the end has begun."""
        async with self._changing:
            if self._ending:
                raise ShuttingDown("The queen is shutting down.")
            if self.is_up and (not self._doubted or await self._answers()):
                self._doubted = False
                return
            await self._close()
            self._doubted = False
            url = await self._find(narrator)
            if url is None:
                url = await self._start(narrator)
            self._client = self.client(url)
            following = asyncio.Event()
            self._following = asyncio.create_task(self._follow(self._client, following))
            try:
                await asyncio.wait_for(following.wait(), self._config.times.connect_s)
            except TimeoutError:
                host, port = address(url)
                raise ConnectionTimeout(host=host, port=port, attempts=1) from None

    async def rows(self) -> list[WorkerRow]:
        """The workers of this node; none where no hive runs. Raises CONNECTION_TIMEOUT."""
        if not self.is_up:
            return []
        found: WorkerRows = await self.own.call(ep.HIVE_WORKERS, within_s=_LIST_WITHIN_S)
        return found.workers

    def doubt(self) -> None:
        """It did not answer: the next `up` asks whether it still does, and else gives it up."""
        self._doubted = True

    async def check_version(self) -> str:
        """The hive's version. Raises VERSION_MISMATCH."""
        health = await self.own.call(ep.HIVE_HEALTH)
        check("queen-rbee", __version__, _PROGRAM, health.version)
        return health.version

    async def gone(self, worker_id: str) -> WorkerGone | None:
        """How a worker ended; None where no word of its end comes within 3 s."""
        with self.events.listen() as coming, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WORD_OF_END_WITHIN_S):
                if worker_id not in self._gone and self.is_up:
                    async for event in coming:
                        if isinstance(event, WorkerGone) and event.worker_id == worker_id:
                            break
        return self._gone.get(worker_id)

    async def end(self) -> None:
        """End the hive in order if this queen started it; one that was found is left alone."""
        self._ending = True
        async with self._changing:
            if self._child is not None:
                with contextlib.suppress(RbeeError):
                    await self.own.call(ep.SHUTDOWN, within_s=_ASK_WITHIN_S)
                await self._child.end(2 * self._config.times.grace_s + 2)
            await self._close()

    def let_go(self) -> None:
        """Close the lifeline: the hive and its workers end at once, without grace."""
        if self._child is not None:
            self._child.lifeline.close()

    async def _answers(self) -> bool:
        try:
            await self.own.call(ep.HIVE_HEALTH, within_s=_ASK_WITHIN_S)
        except RbeeError:
            return False
        return True

    async def _find(self, narrator: Narrator) -> str | None:
        """The URL of a hive that already answers and that may be used."""
        hive = self._config.hive
        url = bind.url(hive.host, hive.port)
        async with self.client(url) as client:
            try:
                found = await client.call(ep.HIVE_NODE, within_s=_ASK_WITHIN_S)
            except ConnectionTimeout:
                return None
            except (InvalidApiKey, Internal):
                told = f"what answers at {url} does not know our key"
                narrator.say("queen-rbee", "🏠", f"{told}: starting an own hive")
                return None
            except RbeeError:
                return None
        if found.state == "draining":
            return None
        if found.owner is not None and found.owner.pid != os.getpid():
            told = f"the hive at {url} belongs to {found.owner.program} (pid {found.owner.pid})"
            narrator.say("queen-rbee", "🏠", f"{told}: starting an own one")
            return None
        narrator.say("queen-rbee", "🏠", f"using the hive that runs at {url}")
        return url

    async def _start(self, narrator: Narrator) -> str:
        hive = self._config.hive
        port = hive.port
        if not bind.is_free(hive.host, port):
            holder = bind.holder(hive.host, port) or "another program"
            told = f"port {port} is held by {holder}: the hive takes a free one"
            narrator.say("queen-rbee", "🏠", told)
            port = 0
        command = paths.program(_PROGRAM, hive.command)
        narrator.say("queen-rbee", "🐝", f"starting rbee-hive on {self.node}")
        arguments = ["daemon", "--lifeline", "--host", hive.host, "--port", str(port)]
        hello = Hello(self.key, child.owner("queen-rbee"))
        self._child, listening = await child.start([*command, *arguments], hello)
        return listening.url

    async def _follow(self, client: Client, following: asyncio.Event) -> None:
        """Hear what the hive tells until it is gone; a stream that broke is taken up again."""
        while True:
            try:
                async with client.stream(ep.HIVE_EVENTS) as events:
                    following.set()
                    async for event in events:
                        self._hear(event)
            except ConnectionTimeout as error:
                _log.warning("the hive on %s is gone: %s", self.node, error)
                return
            except RbeeError as error:
                _log.warning("the events of the hive on %s broke off: %s", self.node, error)
            await asyncio.sleep(0.1)

    def _hear(self, event: Event) -> None:
        if isinstance(event, WorkerGone):
            self._gone[event.worker_id] = event
            while len(self._gone) > _REMEMBERED:
                self._gone.popitem(last=False)
        self.events.send(event)
        self._all_events.send(event)

    async def _close(self) -> None:
        if self._following is not None:
            await stop(self._following)
            self._following = None
        if self._client is not None:
            await self._client.close()
            self._client = None
        if self._child is not None:
            # Gone, or hung: one that is given up on must not live on beside its successor.
            await self._child.kill()
            self._child = None
