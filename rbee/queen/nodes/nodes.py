"""The nodes that the queen knows, each with its hive. localhost is always one of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TypeVar

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import ConnectionTimeout, InvalidRequest, RbeeError, ShuttingDown
from rbee.contract.events import Event
from rbee.contract.models import ModelName
from rbee.contract.registry import LOCAL, HiveStatus, HiveStatuses, NodeRow
from rbee.contract.workers import NodeStandbyRow, NodeWorkerRow, WorkerRow
from rbee.queen.nodes.fleet import Fleet
from rbee.queen.nodes.hive import Hive, OnContact
from rbee.queen.nodes.hosts import Host, LocalHost, UrlHost
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.nodes.registry import Registry
from rbee.queen.nodes.ssh_host import SshHost
from rbee.queen.nodes.waking import Waking
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.event_queue import EventQueue, run_as_stream
from rbee.runtime.narration import Narrator, Say

R = TypeVar("R")

_QUEEN = "queen-rbee"
_STATUS_WITHIN_S = 5.0
_DISCOVER_WITHIN_S, _DISCOVER_AGAIN_S = 2.5, 10.0
# Whoever asks how the hive here is waits so long for somebody who is starting it.
_STARTS_WITHIN_S = 15.0
# More would be late for each other: each is given up after a while.
_DISCOVER_AT_ONCE = 64


class Nodes:
    """Every node by its name."""

    def __init__(
        self,
        config: Config,
        key: str,
        events: Broadcast[Event],
        registry: Registry,
        local_hive: LocalHive,
    ) -> None:
        self.registry = registry
        self.fleet = Fleet()
        self._config = config
        self._events = events
        local = LocalHost(config, key, local_hive)
        self._hives = {LOCAL: self._made(local)}
        self._looking = asyncio.Semaphore(_DISCOVER_AT_ONCE)
        self._discoveries: dict[str, tuple[float, asyncio.Task[bool]]] = {}
        self._wakings: dict[str, Waking] = {}

    def hive(self, node: str | None) -> Hive:
        """The node's hive; without a name, this machine's. Raises NODE_NOT_FOUND."""
        if node is None or node == LOCAL:
            return self._hives[LOCAL]
        row = self.registry.find(node)
        found = self._hives.get(row.node_name)
        if found is None:
            on_contact = partial(self.registry.record_contact, row.node_name)
            host = host_of(row, self._config)
            found = self._made(host, on_contact)
            self._hives[row.node_name] = found
        return found

    def hives(self) -> list[Hive]:
        """All of them, this machine's first."""
        rows = self.registry.rows()
        for row in rows:
            away = row.last_error or "unreachable" if row.status == "unreachable" else None
            wakes = row.wake and row.mac is not None
            self.fleet.know(row.node_name, row.backends, away, wakes)
        return [self._hives[LOCAL], *(self.hive(row.node_name) for row in rows)]

    async def forget(self, name: str) -> None:
        """Close the hive of a node whose row changes. The next caller gets another one."""
        self._wakings.pop(name, None)
        hive = self._hives.pop(name, None)
        # First, since to close takes a while: no task goes there any more.
        self.fleet.forget(name)
        if hive is not None:
            await hive.close()
        if name not in self._hives:  # it may have found its hive again meanwhile
            self.fleet.forget(name)

    async def discover(
        self, within_s: float = _DISCOVER_WITHIN_S, wait_for_unreachable: bool = True
    ) -> None:
        """Find the hives that run on the nodes already: those that operators started, or that a
        queen before it used. Waits `within_s` at most; without `wait_for_unreachable` not for
        nodes that did not answer the last time, which are looked for all the same."""
        now = time.monotonic()
        discoveries = []
        # Those that sleep would keep the others waiting.
        for hive in sorted(self.hives(), key=self._is_unreachable):
            if hive.is_running:
                continue
            began, discovery = self._discoveries.get(hive.node, (-math.inf, None))
            if discovery is None or (discovery.done() and now - began > _DISCOVER_AGAIN_S):
                discovery = asyncio.create_task(self._look_at(hive))
                self._discoveries[hive.node] = now, discovery
            if wait_for_unreachable or not self._is_unreachable(hive):
                discoveries.append(discovery)
        if discoveries:
            await asyncio.wait(discoveries, timeout=within_s)

    def _is_unreachable(self, hive: Hive) -> bool:
        row = self.registry.get(hive.node)
        return row is not None and row.status == "unreachable"

    async def _look_at(self, hive: Hive) -> bool:
        async with self._looking:
            return await hive.discover()

    async def may_use(self, hive: Hive, is_meant: bool, say: Say) -> bool:
        """Whether the node can be used now. One that sleeps is woken, if it `is_meant` or no other
        node can; if nobody knew that it sleeps, it is known now, and another may be chosen. Raises
        CONNECTION_TIMEOUT for one that is woken and does not come."""
        row = self.registry.get(hive.node)
        if row is None or row.mac is None or not row.wake or hive.is_running:
            return True
        if is_meant or row.status == "unreachable":
            await self._wake(row, say)
            return True
        if await self._waking(row).is_awake():
            return True
        say(_QUEEN, "💤", f"{row.node_name} sleeps: it is woken only if no other node can serve")
        error = ConnectionTimeout("It sleeps.", host=row.node_name, port=None, attempts=1)
        self.registry.record_contact(row.node_name, error)
        self.hives()
        return False

    def wake(self, node: str) -> AsyncIterator[Event | None]:
        """Wake a node because a person asks. Raises NODE_NOT_FOUND, and INVALID_REQUEST for one
        without a MAC address, before the first event."""
        row = self.registry.find(node)
        if row.mac is None:
            message = f"The MAC address of {row.node_name} is not known"
            hint = f"Set mac in [nodes.{row.node_name}] of the config file, or add the node again "
            hint += "with --mac (rbee-keeper setup add-node --help)."
            raise InvalidRequest.of("node_name", "a node with a MAC address", message, node, hint)
        return run_as_stream(
            lambda events: self._wake(row, Narrator(events.put_nowait, row.node_name).say)
        )

    async def _wake(self, row: NodeRow, say: Say) -> None:
        await self._waking(row).wake(say)
        if row.status == "unreachable":
            self.registry.record_contact(row.node_name, None)

    def _waking(self, row: NodeRow) -> Waking:
        hive = self.hive(row.node_name)
        found = self._wakings.get(row.node_name)
        if found is None:
            found = Waking(row, hive.use_host, self._config.times)
            self._wakings[row.node_name] = found
        return found

    def _made(self, host: Host, on_contact: OnContact | None = None) -> Hive:
        config, events = self._config, self._events
        others = partial(self._others, host.node)
        return Hive(host, config, events, on_contact, fleet=self.fleet, others=others)

    def _others(self, node: str) -> list[Hive]:
        """The hives from which that node's may fetch models."""
        if not self._config.models.fetch_from_nodes:
            return []
        return [hive for hive in self.hives() if hive.node != node]

    async def find_running(self, hive: Hive, starts_within_s: float | None = None) -> None:
        """Find the hive if it runs. Raises why it can't be asked, but not if there is none."""
        if hive.is_running or await hive.discover(starts_within_s):
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
        """The workers of the node, or of all nodes, as the hives tell at this moment. Raises
        NODE_NOT_FOUND, and for a named node why its hive can't be asked."""
        found = await self._ask_hives(node, Hive.workers)
        return [NodeWorkerRow.of(hive.node, row) for hive, row in found]

    def seen_workers(self) -> list[WorkerRow]:
        """The workers of all nodes as their hives last told, without asking."""
        return [row for hive in self._hives.values() for row in hive.seen_workers]

    async def without_file(self, reference: str, ask_within_s: float = 2.0) -> list[str]:
        """The nodes whose hives run and don't have this `file:` model. None is waited for longer
        than `ask_within_s` seconds."""

        async def lacks(hive: Hive) -> bool:
            try:
                async with asyncio.timeout(ask_within_s):
                    await hive.http.call(ep.HIVE_RESOLVE, ModelName(reference))
            except TimeoutError:
                return False
            except RbeeError:
                return True
            return False

        running = [hive for hive in self.hives() if hive.is_running]
        found = await asyncio.gather(*(lacks(hive) for hive in running))
        return [hive.node for hive, lacking in zip(running, found, strict=True) if lacking]

    async def standby(self, node: str | None = None) -> list[NodeStandbyRow]:
        """The standby workers, as `workers` has the others."""
        found = await self._ask_hives(node, Hive.standby)
        return [NodeStandbyRow(hive.node, row.pid, row.memory_bytes) for hive, row in found]

    async def _ask_hives(
        self, node: str | None, ask: Callable[[Hive], Awaitable[list[R]]]
    ) -> list[tuple[Hive, R]]:
        if node is not None:
            hive = self.hive(node)
            await self.find_running(hive)
            return [(hive, row) for row in await ask(hive)]
        await self.discover()
        hives = list(self._hives.values())
        answers = await asyncio.gather(*(_unless_away(ask(hive)) for hive in hives))
        return [(hive, row) for hive, rows in zip(hives, answers, strict=True) for row in rows]

    def start_hive(self, node: str) -> AsyncIterator[Event | None]:
        """Find the node's hive or start it. A reader that leaves cancels it."""
        return run_as_stream(lambda events: self._start(self.hive(node), events))

    async def _start(self, hive: Hive, events: EventQueue) -> None:
        await self.make_ready(hive, Narrator(events.put_nowait, hive.node))

    async def make_ready(self, hive: Hive, narrator: Narrator) -> None:
        """Wake the node if it sleeps, and find its hive or start it. Raises why that can't be."""
        await self.may_use(hive, True, narrator.say)
        await hive.ensure_running(narrator)

    def stop_hive(self, node: str) -> AsyncIterator[Event | None]:
        """Shut the node's hive down, whoever started it."""
        return run_as_stream(lambda events: _stop(self.hive(node), events))

    async def statuses(self, node: str | None) -> HiveStatuses:
        """Of one hive, or of all at the same time. Raises NODE_NOT_FOUND."""
        hives = [self.hive(node)] if node else self.hives()
        return HiveStatuses(await asyncio.gather(*(self.status(hive) for hive in hives)))

    async def status(self, hive: Hive) -> HiveStatus:
        """What the node's hive says of itself, if one runs; none is started."""
        try:
            # Elsewhere it may be started for long, on a machine that is off.
            starts_within_s = _STARTS_WITHIN_S if hive.node == LOCAL else None
            await self.find_running(hive, starts_within_s)
            if not hive.is_running:
                row = self.registry.get(hive.node)
                error = row.last_error if row else None
                return HiveStatus(node=hive.node, state="stopped", error=error)
            info = await hive.http.call(ep.HIVE_NODE, within_s=_STATUS_WITHIN_S)
            version = await hive.check_version()
            workers = await hive.workers()
            return HiveStatus.of(hive.node, hive.http.url, version, info, workers, hive.is_ours)
        except ShuttingDown:
            raise
        except RbeeError as error:
            return HiveStatus(node=hive.node, state="unreachable", error=error.message)

    async def close(self) -> None:
        """Close all hives at once: those that this queen started end."""
        for _, discovery in self._discoveries.values():
            discovery.cancel()
        await asyncio.gather(*(hive.close() for hive in self._hives.values()))

    def cut_lifelines(self) -> None:
        """Every hive that this queen started ends at once, without grace."""
        for hive in self._hives.values():
            hive.cut_lifeline()


def host_of(row: NodeRow, config: Config) -> Host:
    """The machine that a row of the registry describes."""
    return UrlHost(row, config) if row.ssh_host is None else SshHost(row, config)


async def _stop(hive: Hive, events: EventQueue) -> None:
    narrator = Narrator(events.put_nowait, hive.node)
    stopped = await hive.stop(narrator)
    outcome = f"the hive on {hive.node} has ended" if stopped else f"no hive runs on {hive.node}"
    narrator.say(_QUEEN, "🛑", outcome)


async def _unless_away(asked: Awaitable[list[R]]) -> list[R]:
    """A hive that does not answer does not hide the workers of others."""
    try:
        return await asked
    except RbeeError:
        return []
