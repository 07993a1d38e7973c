"""What people do with the hives themselves: start, stop, ask how they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from rbee.contract.events import Event
from rbee.contract.registry import HiveStatuses
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import Nodes
from rbee.runtime.event_queue import Outlet, told
from rbee.runtime.narration import Narrator


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
        await hive.ensure_running(narrator)
        narrator.say("queen-rbee", "🐝", f"rbee-hive runs on {hive.node}: {hive.http.url}")

    async def _stop(self, hive: Hive, outlet: Outlet) -> None:
        narrator = Narrator(outlet.tell, hive.node)
        there = await hive.stop(narrator)
        said = f"the hive on {hive.node} has ended" if there else f"no hive runs on {hive.node}"
        narrator.say("queen-rbee", "🛑", said)
