"""The nodes that the queen knows. In this version that is the machine it runs on."""

from __future__ import annotations

import asyncio

from rbee.contract.config import Config
from rbee.contract.errors import ConnectionTimeout, NodeNotFound
from rbee.contract.events import Event
from rbee.contract.workers import NodeWorkerRow
from rbee.queen.services.hive import Hive
from rbee.runtime.broadcast import Broadcast

LOCAL = "localhost"


class Nodes:
    """Every node by its name, each with its hive."""

    def __init__(self, config: Config, key: str, events: Broadcast[Event]) -> None:
        self._hives = {LOCAL: Hive(LOCAL, config, key, events)}

    def hive(self, node: str | None) -> Hive:
        """The node's hive; without a name, this machine's. Raises NODE_NOT_FOUND."""
        found = self._hives.get(node or LOCAL)
        if found is None:
            raise NodeNotFound(node=node)
        return found

    def hives(self) -> list[Hive]:
        """All of them."""
        return list(self._hives.values())

    async def workers(self) -> list[NodeWorkerRow]:
        """The workers of all nodes, as their hives tell at this moment."""
        lists = await asyncio.gather(*(self._of(hive) for hive in self._hives.values()))
        return [row for rows in lists for row in rows]

    async def end(self) -> None:
        """End the hives that this queen started, all at once."""
        await asyncio.gather(*(hive.end() for hive in self._hives.values()))

    def let_go(self) -> None:
        """Close every lifeline."""
        for hive in self._hives.values():
            hive.let_go()

    async def _of(self, hive: Hive) -> list[NodeWorkerRow]:
        try:
            rows = await hive.rows()
        except ConnectionTimeout:
            rows = []  # a hive that does not answer hides nobody else's workers
        return [
            NodeWorkerRow(
                worker_id=row.id,
                node=hive.node,
                state=row.state,
                model_ref=row.model_ref,
                url=row.url,
                backend=row.backend,
                device=row.device,
                slots_total=row.slots_total,
                slots_available=row.slots_available,
            )
            for row in rows
        ]
