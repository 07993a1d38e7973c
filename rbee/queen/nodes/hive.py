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
from rbee.contract.workers import WorkerGone, WorkerRow, WorkerRows
from rbee.queen.nodes.hive_discovery import check_hive
from rbee.queen.nodes.hive_link import Link
from rbee.queen.nodes.hosts import Host, NoHiveError
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.cancellation import Breakable
from rbee.runtime.client import Client
from rbee.runtime.narration import Narrator

Met: TypeAlias = Callable[[NodeInfo | RbeeError | None], None]

_LIST_WITHIN_S = 5.0
_LOOK_WITHIN_S = 2.0


class Hive:
    """A node's hive. `ensure_running` finds or starts it; everything else is asked of it again.

    `met` hears whether the node could be reached: with what its hive says of it, if one was asked,
    or with the error. Its link to the hive is changed by one call at a time.
    """

    def __init__(
        self, host: Host, config: Config, events: Broadcast[Event], met: Met | None = None
    ) -> None:
        self.node = host.node
        self.host = host
        self.worker_start_lock = asyncio.Lock()
        # Why the last look found no hive that may be used; None where there simply is none.
        self.last_error: RbeeError | None = None
        self._link = Link(host, config, events)
        self._met = met
        self._changing = asyncio.Lock()
        self._ending = False
        self._doubted = False
        self._work = Breakable()

    @property
    def events(self) -> Broadcast[Event]:
        """What the hive tells from now on."""
        return self._link.news.events

    async def worker_exit(self, worker_id: str) -> WorkerGone | None:
        """How a worker ended; None where no word of its end comes within 3 s."""
        return await self._link.news.gone(worker_id)

    @property
    def http(self) -> Client:
        """The hive itself. Only after `ensure_running`."""
        return self._link.own

    def separate_client(self) -> Client:
        """A further client for the hive, for a stream that outlasts what is asked beside it."""
        return self._link.apart()

    @property
    def is_running(self) -> bool:
        return self._link.is_up

    @property
    def is_ours(self) -> bool:
        """Whether this queen started it."""
        return self._link.is_ours

    async def client_for(self, url: str) -> Client:
        """A client for a program of this node."""
        return await self._link.client(url)

    async def ensure_running(self, narrator: Narrator) -> None:
        """Find the node's hive, or start one. Raises why there is none, and SHUTTING_DOWN once
        the end has begun."""
        async with self._changing:
            if self._ending:
                raise ShuttingDown(f"The hive on {self.node} is ending.")
            if self.is_running and (not self._doubted or await self._link.answers()):
                self._doubted = False
                return
            if not self.is_running and await self._link.takes_up():
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

    async def workers(self) -> list[WorkerRow]:
        """The workers of this node; none where no hive runs. Raises CONNECTION_TIMEOUT."""
        if not self.is_running:
            return []
        found: WorkerRows = await self.http.call(ep.HIVE_WORKERS, within_s=_LIST_WITHIN_S)
        return found.workers

    async def discover(self) -> bool:
        """Use the hive if one runs there; start none. Whether there is one."""
        try:
            async with asyncio.timeout(_LOOK_WITHIN_S):
                await self._changing.acquire()
        except TimeoutError:  # somebody is starting it, which may take long where nobody answers
            return self.is_running
        try:
            if not self.is_running and not self._ending and not await self._link.takes_up():
                await self._unless_ending(self._discover())
            return self.is_running
        finally:
            self._changing.release()

    def suspect(self) -> None:
        """It did not answer: the next `ensure_running` asks again, and replaces a mute one."""
        self._doubted = True

    async def check_version(self) -> str:
        """The hive's version. Raises VERSION_MISMATCH."""
        health = await self.http.call(ep.HIVE_HEALTH)
        check_hive(self.host, health.version)
        return health.version

    async def stop(self, narrator: Narrator) -> bool:
        """End the hive in order, whoever started it: a person asks. Whether one ran. Raises what
        keeps it from being asked, as CONNECTION_TIMEOUT."""
        async with self._changing:
            if not self.is_running and not await self._link.takes_up():
                await self._link.close()
                url = await self.host.ready(narrator.say)
                await self._link.find(url, narrator.say)
            there = self.is_running
            if there:
                await self._unless_ending(self._link.stop())
            await self._link.close()
            return there

    async def close(self) -> None:
        """End the hive in order if this queen started it; one that was found is left alone."""
        self._ending = self._link.is_ending = True
        self._work.break_off()
        async with self._changing:
            await self._link.end()
            await self.host.close()

    def cut_lifeline(self) -> None:
        """Close the lifeline: the hive and its workers end at once, without grace."""
        self._link.let_go()

    async def _discover(self) -> None:
        self.last_error = None
        await self._link.close()
        try:
            if await self._link.glance(_LOOK_WITHIN_S):
                await self._meet()
                return
            self._tell(None)
        except NoHiveError:
            pass
        except RbeeError as error:
            self.last_error = error
            self._tell(error)
        await self._link.close()
        await self.host.close()

    async def _unless_ending(self, work: Coroutine[None, None, None]) -> None:
        """Do `work`, which may take its time, but not beyond the end's beginning."""
        if not await self._work.do(work):
            raise ShuttingDown(f"The hive on {self.node} is ending.")

    async def _meet(self) -> None:
        if self._met is not None:
            info = await self.http.call(ep.HIVE_NODE, within_s=_LIST_WITHIN_S)
            self._met(info)

    def _tell(self, outcome: RbeeError | None) -> None:
        if self._met is not None:
            self._met(outcome)
