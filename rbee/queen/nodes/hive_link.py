"""What ties the queen to a node's hive: a client, its events, and its process if it is our own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from typing import Literal, TypeAlias

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import ConnectionTimeout, PortBlocked, RbeeError
from rbee.contract.events import Event
from rbee.contract.nodes import HiveGone
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.hive_discovery import check_hive, find, wait_for_end
from rbee.queen.nodes.hive_events import News
from rbee.queen.nodes.hosts import Host, Running
from rbee.runtime import child
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.cancellation import stop
from rbee.runtime.client import Client, address
from rbee.runtime.log import uncorrelated
from rbee.runtime.narration import Say

_How: TypeAlias = Literal["ended", "killed", "lost", "left"]

_QUEEN = "queen-rbee"
_ASK_WITHIN_S = 2.0
_log = logging.getLogger(_QUEEN)


class Link:
    """Made and let go of by the node's Hive alone, one thing at a time. `is_ending`: an end is
    expected, and nobody need be warned of it."""

    def __init__(self, site: Host, config: Config, events: Broadcast[Event]) -> None:
        self.news = News(site.node, events)
        self.is_ending = False
        self._site = site
        self._config = config
        self._all_events = events
        self._owner = child.owner(_QUEEN)
        self._key = ""
        self._client: Client | None = None
        self._running: Running | None = None
        self._watching: asyncio.Task[None] | None = None
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()

    @property
    def own(self) -> Client:
        """The hive itself. Raises CONNECTION_TIMEOUT where there is no link."""
        if self._client is None:
            host, port = self._site.node, self._config.hive.port
            raise ConnectionTimeout(host=host, port=port, attempts=1)
        return self._client

    @property
    def is_up(self) -> bool:
        return self.news.is_followed and (self._running is None or self._running.is_running)

    @property
    def is_ours(self) -> bool:
        """Whether this queen started it."""
        return self._running is not None

    async def client(self, url: str) -> Client:
        """A client for a program of this node."""
        return self._connect(await self._site.reach(url), self._key)

    def apart(self) -> Client:
        """A further client for the hive itself."""
        return self._connect(self.own.url, self._key)

    async def attach(self, say: Say) -> None:
        """Find the hive, or start one. Raises why there is none."""
        url = await self._site.ready(say)
        if await self.find(url, say):
            return
        self._running, listening, self._key = await self._site.start(say)
        check_hive(self._site, listening.version)
        reached = await self._site.reach(listening.url)
        self._client = self._connect(reached, self._key)
        self._watching = asyncio.create_task(self._watch(self._running), context=uncorrelated())
        try:
            await self.news.follow(self._client, self._config.times.connect_s)
        except ConnectionTimeout:
            if self._site.node == LOCAL:
                raise
            host, port = address(reached)
            raise PortBlocked(host=host, port=port) from None

    async def glance(self, within_s: float) -> bool:
        """Whether a hive answers, asked once and quickly."""
        try:
            async with asyncio.timeout(within_s):
                url = await self._site.glance()
        except TimeoutError:
            told = f"{self._site.node} did not answer within {within_s:g} s."
            port = self._config.hive.port
            raise ConnectionTimeout(told, host=self._site.node, port=port, attempts=1) from None
        return await self.find(url, lambda *_: None)

    async def find(self, url: str, say: Say) -> bool:
        """Use the hive that answers at `url`, if it may be used; whether there is one."""
        found = await find(self._site, url, self._connect, self._owner, self._patience_s, say)
        if found is None:
            return False
        self._client, self._key = found
        await self.news.follow(self._client, self._config.times.connect_s)
        return True

    async def takes_up(self) -> bool:
        """Whether our own hive still answers, though the stream of its events was lost: it is
        followed again, and what it does goes on."""
        if self._running is None or not self._running.is_running or not await self.answers():
            return False
        with contextlib.suppress(ConnectionTimeout):
            await self.news.follow(self.own, self._config.times.connect_s)
        return self.is_up

    async def answers(self) -> bool:
        """Whether it still does."""
        try:
            await self.own.call(ep.HIVE_HEALTH, within_s=_ASK_WITHIN_S)
        except RbeeError:
            return False
        return True

    async def stop(self) -> None:
        """End the hive in order, whoever started it."""
        with contextlib.suppress(RbeeError):
            await self.own.call(ep.SHUTDOWN, within_s=_ASK_WITHIN_S)
        await wait_for_end(self.own, self._patience_s)

    async def end(self) -> None:
        """End the hive in order if this queen started it; one that was found is left alone."""
        if self._running is not None:
            if self._client is None:  # canceled between its start and its first word
                self._running.let_go()
            else:
                with contextlib.suppress(RbeeError):
                    await self.own.call(ep.SHUTDOWN, within_s=_ASK_WITHIN_S)
            self._tell_gone(_how(await self._running.end(self._patience_s)))
        elif self.is_up:
            self._tell_gone("left")
        await self.close()

    def let_go(self) -> None:
        """Close the lifeline: the hive and its workers end at once, without grace."""
        if self._running is not None:
            self._running.let_go()

    async def close(self) -> None:
        """Let go of everything, and of our own hive for good."""
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

    @property
    def _patience_s(self) -> float:
        return 2 * self._config.times.grace_s + 2

    def _connect(self, url: str, key: str) -> Client:
        times = self._config.times
        client = Client(url, key, times.connect_s, times.stream_silence_s)
        self._clients.add(client)
        return client

    async def _watch(self, running: Running) -> None:
        """When our hive ends, or its connection, nothing of its node is waited for any more."""
        code = await running.wait()
        for client in list(self._clients):
            client.cut()
        self.news.cut()
        if not self.is_ending:
            told = "its connection is lost" if code is None else f"it ended with code {code}"
            _log.warning("the hive on %s is gone: %s", self._site.node, told)
            self._tell_gone(_how(code))

    def _tell_gone(self, how: _How) -> None:
        self._all_events.send(HiveGone(self._site.node, how, len(self.news.workers)))
        self.news.workers.clear()


def _how(code: int | None) -> _How:
    if code is None:
        return "lost"
    return "ended" if code == 0 else "killed"
