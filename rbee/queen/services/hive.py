"""One node's hive, as the queen has it: found or started when it is wanted, ended if it is hers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeAlias

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import RbeeError, ShuttingDown
from rbee.contract.events import Event
from rbee.contract.nodes import NodeInfo
from rbee.contract.workers import WorkerRow, WorkerRows
from rbee.queen.services.link import Link
from rbee.queen.services.meeting import check_hive
from rbee.queen.services.news import News
from rbee.queen.services.sites import NothingThereError, Site
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.client import Client
from rbee.runtime.narration import Narrator
from rbee.runtime.tasks import Breakable

Met: TypeAlias = Callable[[NodeInfo | RbeeError | None], None]

_LIST_WITHIN_S = 5.0
_LOOK_WITHIN_S = 2.0


class Hive:
    """A node's hive. `up` makes sure that it runs; everything else is asked of it afresh.

    `met` hears whether the node could be reached: with what its hive says of it, if one was asked,
    or with the error. Its link to the hive is changed by one call at a time.
    """

    def __init__(
        self, site: Site, config: Config, events: Broadcast[Event], met: Met | None = None
    ) -> None:
        self.node = site.node
        self.site = site
        self.placing = asyncio.Lock()
        # Why the last look found no hive that may be used; None where there simply is none.
        self.trouble: RbeeError | None = None
        self._link = Link(site, config, events)
        self._met = met
        self._changing = asyncio.Lock()
        self._ending = False
        self._doubted = False
        self._work = Breakable()

    @property
    def news(self) -> News:
        return self._link.news

    @property
    def own(self) -> Client:
        """The hive itself. Only after `up`."""
        return self._link.own

    def apart(self) -> Client:
        """A further client for the hive, for a stream that outlasts what is asked beside it."""
        return self._link.apart()

    @property
    def is_up(self) -> bool:
        return self._link.is_up

    @property
    def is_ours(self) -> bool:
        """Whether this queen started it."""
        return self._link.is_ours

    async def client(self, url: str) -> Client:
        """A client for a program of this node."""
        return await self._link.client(url)

    async def up(self, narrator: Narrator) -> None:
        """Find the node's hive, or start one. Raises why there is none, and SHUTTING_DOWN once
        the end has begun."""
        async with self._changing:
            if self._ending:
                raise ShuttingDown(f"The hive on {self.node} is ending.")
            if self.is_up and (not self._doubted or await self._link.answers()):
                self._doubted = False
                return
            if not self.is_up and await self._link.takes_up():
                return
            await self._link.close()
            self._doubted = False
            try:
                await self._unless_ending(self._link.attach(narrator.say))
                await self._meet()
            except RbeeError as error:
                await self._link.close()
                self._tell(error)
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
            if not self.is_up and not self._ending and not await self._link.takes_up():
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
            if not self.is_up and not await self._link.takes_up():
                await self._link.close()
                url = await self.site.ready(narrator.say)
                await self._link.find(url, narrator.say)
            there = self.is_up
            if there:
                await self._unless_ending(self._link.stop())
            await self._link.close()
            return there

    async def end(self) -> None:
        """End the hive in order if this queen started it; one that was found is left alone."""
        self._ending = self._link.is_ending = True
        self._work.break_off()
        async with self._changing:
            await self._link.end()
            await self.site.close()

    def let_go(self) -> None:
        """Close the lifeline: the hive and its workers end at once, without grace."""
        self._link.let_go()

    async def _look(self) -> None:
        self.trouble = None
        await self._link.close()
        try:
            if await self._link.glance(_LOOK_WITHIN_S):
                await self._meet()
                return
            self._tell(None)
        except NothingThereError:
            pass
        except RbeeError as error:
            self.trouble = error
            self._tell(error)
        await self._link.close()
        await self.site.close()

    async def _unless_ending(self, work: Coroutine[None, None, None]) -> None:
        """Do `work`, which may take its time, but not beyond the end's beginning."""
        if not await self._work.do(work):
            raise ShuttingDown(f"The hive on {self.node} is ending.")

    async def _meet(self) -> None:
        if self._met is not None:
            info = await self.own.call(ep.HIVE_NODE, within_s=_LIST_WITHIN_S)
            self._met(info)

    def _tell(self, outcome: RbeeError | None) -> None:
        if self._met is not None:
            self._met(outcome)
