"""The queen's end of one node's hive: found or started, followed, and ended if it is our own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Callable, Coroutine
from typing import Literal, TypeAlias

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import (
    ConnectionTimeout,
    PortBlocked,
    RbeeError,
    ShuttingDown,
)
from rbee.contract.events import Event
from rbee.contract.nodes import HiveGone, NodeInfo
from rbee.contract.registry import LOCAL
from rbee.contract.workers import WorkerRow, WorkerRows
from rbee.queen.services.meeting import check_hive, find, wait_for_end
from rbee.queen.services.news import News
from rbee.queen.services.sites import NothingThereError, Running, Site
from rbee.runtime import child
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.client import Client, address
from rbee.runtime.narration import Narrator, Say
from rbee.runtime.tasks import Breakable, stop

_How: TypeAlias = Literal["ended", "killed", "lost", "left"]

_QUEEN = "queen-rbee"
_ASK_WITHIN_S = 2.0
_LIST_WITHIN_S = 5.0
_LOOK_WITHIN_S = 2.0
_log = logging.getLogger(_QUEEN)


class Hive:
    """A node's hive. `up` makes sure that it runs; everything else is asked of it afresh.

    `met` hears whether the node could be reached: with what its hive says of it, if one was asked,
    or with the error.
    """

    def __init__(
        self,
        site: Site,
        config: Config,
        events: Broadcast[Event],
        met: Callable[[NodeInfo | RbeeError | None], None] = lambda _: None,
    ) -> None:
        self.node = site.node
        self.site = site
        self.news = News(site.node, events)
        self.placing = asyncio.Lock()
        self.owner = child.owner(_QUEEN)
        self._config = config
        self._all_events = events
        self._met = met
        self._key = ""
        self._changing = asyncio.Lock()
        self._ending = False
        self._doubted = False
        self._client: Client | None = None
        self._running: Running | None = None
        self._watching: asyncio.Task[None] | None = None
        self._work = Breakable()
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()

    async def client(self, url: str) -> Client:
        """A client for a program of this node."""
        return self._connect(await self.site.reach(url), self._key)

    @property
    def own(self) -> Client:
        """The hive itself. Only after `up`."""
        if self._client is None:
            raise ConnectionTimeout(host=self.node, port=self._config.hive.port, attempts=1)
        return self._client

    @property
    def is_up(self) -> bool:
        return self.news.is_followed and (self._running is None or self._running.is_running)

    @property
    def is_ours(self) -> bool:
        """Whether this queen started it."""
        return self._running is not None

    async def up(self, narrator: Narrator) -> None:
        """Find the node's hive, or start one. Raises why there is none, and SHUTTING_DOWN once
        the end has begun."""
        async with self._changing:
            if self._ending:
                raise ShuttingDown(f"The hive on {self.node} is ending.")
            if self.is_up and (not self._doubted or await self._answers()):
                self._doubted = False
                return
            if not self.is_up and await self._takes_up():
                return
            await self._close()
            self._doubted = False
            try:
                await self._unless_ending(self._attach(narrator))
                await self._meet()
            except RbeeError as error:
                await self._close()
                self._met(error)
                raise

    async def rows(self) -> list[WorkerRow]:
        """The workers of this node; none where no hive runs. Raises CONNECTION_TIMEOUT."""
        if not self.is_up:
            return []
        found: WorkerRows = await self.own.call(ep.HIVE_WORKERS, within_s=_LIST_WITHIN_S)
        return found.workers

    async def look(self) -> bool:
        """Use the hive if one runs there; start none. Whether there is one."""
        try:
            async with asyncio.timeout(_LOOK_WITHIN_S):
                await self._changing.acquire()
        except TimeoutError:  # somebody is starting it, which may take long where nobody answers
            return self.is_up
        try:
            if not self.is_up and not self._ending and not await self._takes_up():
                await self._unless_ending(self._look())
            return self.is_up
        finally:
            self._changing.release()

    def doubt(self) -> None:
        """It did not answer: the next `up` asks whether it still does, and else gives it up."""
        self._doubted = True

    async def check_version(self) -> str:
        """The hive's version. Raises VERSION_MISMATCH."""
        health = await self.own.call(ep.HIVE_HEALTH)
        check_hive(self.site, health.version)
        return health.version

    async def stop(self, narrator: Narrator) -> bool:
        """End the hive in order, whoever started it: a person asks. Whether one ran. Raises what
        keeps it from being asked, as CONNECTION_TIMEOUT."""
        async with self._changing:
            if not self.is_up and not await self._takes_up():
                await self._close()
                url = await self.site.ready(narrator.say)
                await self._find(url, narrator.say)
            there = self.is_up
            if there:
                await self._unless_ending(self._stop())
            await self._close()
            return there

    async def _stop(self) -> None:
        with contextlib.suppress(RbeeError):
            await self.own.call(ep.SHUTDOWN, within_s=_ASK_WITHIN_S)
        await wait_for_end(self.own, self._patience_s)

    async def end(self) -> None:
        """End the hive in order if this queen started it; one that was found is left alone."""
        self._ending = True
        self._work.break_off()
        async with self._changing:
            if self._running is not None:
                if self._client is None:  # canceled between its start and its first word
                    self._running.let_go()
                else:
                    with contextlib.suppress(RbeeError):
                        await self.own.call(ep.SHUTDOWN, within_s=_ASK_WITHIN_S)
                self._tell_gone(_how(await self._running.end(self._patience_s)))
            elif self.is_up:
                self._tell_gone("left")
            await self._close()
            await self.site.close()

    def let_go(self) -> None:
        """Close the lifeline: the hive and its workers end at once, without grace."""
        if self._running is not None:
            self._running.let_go()

    @property
    def _patience_s(self) -> float:
        return 2 * self._config.times.grace_s + 2

    def _connect(self, url: str, key: str) -> Client:
        times = self._config.times
        client = Client(url, key, times.connect_s, times.stream_silence_s)
        self._clients.add(client)
        return client

    async def _look(self) -> None:
        await self._close()
        try:
            if await self._glance():
                await self._meet()
                return
            self._met(None)
        except NothingThereError:
            pass
        except RbeeError as error:
            self._met(error)
        await self._close()
        await self.site.close()

    async def _takes_up(self) -> bool:
        """Whether our own hive still answers, though the stream of its events was lost: it is
        followed again, and what it does goes on."""
        if self._running is None or not self._running.is_running or not await self._answers():
            return False
        with contextlib.suppress(ConnectionTimeout):
            await self.news.follow(self.own, self._config.times.connect_s)
        return self.is_up

    async def _answers(self) -> bool:
        try:
            await self.own.call(ep.HIVE_HEALTH, within_s=_ASK_WITHIN_S)
        except RbeeError:
            return False
        return True

    async def _unless_ending(self, work: Coroutine[None, None, None]) -> None:
        """Do `work`, which may take its time, but not beyond the end's beginning."""
        if not await self._work.do(work):
            raise ShuttingDown(f"The hive on {self.node} is ending.")

    async def _attach(self, narrator: Narrator) -> None:
        url = await self.site.ready(narrator.say)
        if await self._find(url, narrator.say):
            return
        self._running, listening, self._key = await self.site.start(narrator.say)
        check_hive(self.site, listening.version)
        reached = await self.site.reach(listening.url)
        self._client = self._connect(reached, self._key)
        self._watching = asyncio.create_task(self._watch(self._running))
        try:
            await self.news.follow(self._client, self._config.times.connect_s)
        except ConnectionTimeout:
            if self.node == LOCAL:
                raise
            host, port = address(reached)
            raise PortBlocked(host=host, port=port) from None

    async def _meet(self) -> None:
        info = await self.own.call(ep.HIVE_NODE, within_s=_LIST_WITHIN_S)
        self._met(info)

    async def _glance(self) -> bool:
        """Whether a hive answers, asked once and quickly."""
        try:
            async with asyncio.timeout(_LOOK_WITHIN_S):
                url = await self.site.glance()
        except TimeoutError:
            told = f"{self.node} did not answer within {_LOOK_WITHIN_S:g} s."
            port = self._config.hive.port
            raise ConnectionTimeout(told, host=self.node, port=port, attempts=1) from None
        return await self._find(url, lambda *_: None)

    async def _find(self, url: str, say: Say) -> bool:
        found = await find(self.site, url, self._connect, self.owner, self._patience_s, say)
        if found is None:
            return False
        self._client, self._key = found
        await self.news.follow(self._client, self._config.times.connect_s)
        return True

    async def _watch(self, running: Running) -> None:
        """When our hive ends, or its connection, nothing of its node is waited for any more."""
        code = await running.wait()
        for client in list(self._clients):
            client.cut()
        self.news.cut()
        if not self._ending:
            told = "its connection is lost" if code is None else f"it ended with code {code}"
            _log.warning("the hive on %s is gone: %s", self.node, told)
            self._tell_gone(_how(code))

    def _tell_gone(self, how: _How) -> None:
        self._all_events.send(HiveGone(self.node, how, len(self.news.workers)))
        self.news.workers.clear()

    async def _close(self) -> None:
        await self.news.stop()
        if self._watching is not None:
            await stop(self._watching)
            self._watching = None
        if self._client is not None:
            await self._client.close()
            self._client = None
        if self._running is not None:
            # Gone, or hung: one that is given up on must not live on beside its successor.
            await self._running.kill()
            self._running = None


def _how(code: int | None) -> _How:
    if code is None:
        return "lost"
    return "ended" if code == 0 else "killed"
