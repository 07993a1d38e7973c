"""The nodes that the queen knows, each with its hive. localhost is always one of them."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import ConnectionTimeout, RbeeError, ShuttingDown
from rbee.contract.events import Event
from rbee.contract.registry import LOCAL, HiveStatus
from rbee.contract.workers import NodeWorkerRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.hosts import LocalHost
from rbee.queen.nodes.registry import Registry
from rbee.queen.nodes.ssh_host import site
from rbee.runtime.broadcast import Broadcast

_LIST_WITHIN_S = 5.0
_LOOK_WITHIN_S, _LOOK_AGAIN_S = 2.5, 10.0


class Nodes:
    """Every node by its name."""

    def __init__(
        self, config: Config, key: str, events: Broadcast[Event], registry: Registry
    ) -> None:
        self.registry = registry
        self._config = config
        self._events = events
        self._hives = {LOCAL: Hive(LocalHost(config, key), config, events)}
        self._looks: dict[str, tuple[float, asyncio.Task[bool]]] = {}

    def hive(self, node: str | None) -> Hive:
        """The node's hive; without a name, this machine's. Raises NODE_NOT_FOUND."""
        if node is None or node == LOCAL:
            return self._hives[LOCAL]
        row = self.registry.find(node)
        found = self._hives.get(row.node_name)
        if found is None:
            met = partial(self.registry.record_contact, row.node_name)
            found = Hive(site(row, self._config), self._config, self._events, met)
            self._hives[row.node_name] = found
        return found

    def hives(self) -> list[Hive]:
        """All of them, this machine's first."""
        names = (row.node_name for row in self.registry.rows())
        return [self._hives[LOCAL], *(self.hive(name) for name in names)]

    async def forget(self, name: str) -> None:
        """Let go of a node whose row changes: a hive that we started there ends."""
        hive = self._hives.pop(name, None)
        if hive is not None:
            await hive.close()

    async def discover(
        self, within_s: float = _LOOK_WITHIN_S, wait_for_unreachable: bool = True
    ) -> None:
        """Find the hives that run on the nodes already: those that operators started, or that a
        queen before it used. Waits `within_s` at most; without `wait_for_unreachable` not for
        nodes that did not answer the last time, which are looked for all the same."""
        now = time.monotonic()
        looks = []
        for hive in self.hives():
            if hive.is_running:
                continue
            began, look = self._looks.get(hive.node, (-math.inf, None))
            if look is None or (look.done() and now - began > _LOOK_AGAIN_S):
                look = asyncio.create_task(hive.discover())
                self._looks[hive.node] = now, look
            row = self.registry.get(hive.node)
            if wait_for_unreachable or row is None or row.status != "unreachable":
                looks.append(look)
        if looks:
            await asyncio.wait(looks, timeout=within_s)

    async def find_running(self, hive: Hive) -> None:
        """Find the hive if it runs; raises why it can't be asked, nothing where there is none."""
        if hive.is_running or await hive.discover():
            return
        if hive.last_error is not None:
            raise hive.last_error
        row = self.registry.get(hive.node)
        if row is not None and row.status == "unreachable":
            raise ConnectionTimeout(
                row.last_error or f"{hive.node} does not answer.",
                host=row.ssh_host or row.hive_url,
                port=row.ssh_port or row.hive_port,
                attempts=1,
                node=hive.node,
            )

    async def workers(self, node: str | None = None) -> list[NodeWorkerRow]:
        """The workers of the node, or of all, as the hives tell at this moment. Raises
        NODE_NOT_FOUND, and for a node that was named why its hive can't be asked."""
        if node is not None:
            hive = self.hive(node)
            await self.find_running(hive)
            return [NodeWorkerRow.of(hive.node, row) for row in await hive.workers()]
        await self.discover()
        lists = await asyncio.gather(*(self._of(hive) for hive in self._hives.values()))
        return [row for rows in lists for row in rows]

    async def status(self, hive: Hive) -> HiveStatus:
        """What the node's hive says of itself, if one runs; none is started."""
        try:
            await self.find_running(hive)
            if not hive.is_running:
                row = self.registry.get(hive.node)
                error = row.last_error if row else None
                return HiveStatus(node=hive.node, state="stopped", error=error)
            info = await hive.http.call(ep.HIVE_NODE, within_s=_LIST_WITHIN_S)
            version = await hive.check_version()
            rows = await hive.workers()
            return HiveStatus.of(hive.node, hive.http.url, version, info, rows, hive.is_ours)
        except ShuttingDown:
            raise
        except RbeeError as error:
            return HiveStatus(node=hive.node, state="unreachable", error=error.message)

    async def close(self) -> None:
        """End the hives that this queen started, all at once."""
        for _, look in self._looks.values():
            look.cancel()
        await asyncio.gather(*(hive.close() for hive in self._hives.values()))

    def cut_lifelines(self) -> None:
        """Close every lifeline."""
        for hive in self._hives.values():
            hive.cut_lifeline()

    async def _of(self, hive: Hive) -> list[NodeWorkerRow]:
        try:
            rows = await hive.workers()
        except RbeeError:
            rows = []  # a hive that does not answer hides nobody else's workers
        return [NodeWorkerRow.of(hive.node, row) for row in rows]
