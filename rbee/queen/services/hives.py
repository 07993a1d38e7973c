"""What people do with the hives themselves: start, stop, ask how they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from rbee.contract.errors import Internal, RbeeError
from rbee.contract.events import Event
from rbee.contract.registry import HiveStatuses
from rbee.queen.services.hive import Hive
from rbee.queen.services.nodes import Nodes
from rbee.queen.services.outlet import Outlet
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Narrator
from rbee.runtime.tasks import stop

_log = logging.getLogger("queen-rbee")


class Hives:
    """By the names of their nodes."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def start(self, node: str) -> AsyncIterator[Event | None]:
        """Find the node's hive or start it. A reader that leaves ends the try."""
        return told(lambda outlet: self._start(self._nodes.hive(node), outlet))

    def stop(self, node: str) -> AsyncIterator[Event | None]:
        """End the node's hive, whoever started it."""
        return told(lambda outlet: self._stop(self._nodes.hive(node), outlet))

    async def statuses(self, node: str | None) -> HiveStatuses:
        """Of one node, or of all, at the same time. Raises NODE_NOT_FOUND."""
        hives = [self._nodes.hive(node)] if node else self._nodes.hives()
        return HiveStatuses(await asyncio.gather(*(self._nodes.status(hive) for hive in hives)))

    async def _start(self, hive: Hive, outlet: Outlet) -> None:
        narrator = Narrator(outlet.tell, hive.node)
        await hive.up(narrator)
        narrator.say("queen-rbee", "🐝", f"rbee-hive runs on {hive.node}: {hive.own.url}")

    async def _stop(self, hive: Hive, outlet: Outlet) -> None:
        narrator = Narrator(outlet.tell, hive.node)
        there = await hive.stop(narrator)
        said = f"the hive on {hive.node} has ended" if there else f"no hive runs on {hive.node}"
        narrator.say("queen-rbee", "🛑", said)


async def told(work: Callable[[Outlet], Awaitable[None]]) -> AsyncIterator[Event | None]:
    """What `work` tells, up to its end or its error. A reader that leaves cancels it."""
    outlet = Outlet()

    async def run() -> None:
        try:
            await work(outlet)
            outlet.end()
        except RbeeError as error:
            outlet.end(error)
        except Exception:
            mark = correlation_id.get()
            _log.exception("[%s] it failed", mark)
            outlet.end(Internal(correlation_id=mark))

    task = asyncio.create_task(run())
    try:
        yield None
        async for event in outlet.read():
            yield event
        await task
    finally:
        await stop(task)
