"""The event stream of a node's hive: passed on to the listeners, with its workers' exits kept."""

from __future__ import annotations

import asyncio
import logging
from asyncio import FIRST_COMPLETED
from collections import OrderedDict
from collections.abc import AsyncIterator

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    ConnectionRefused,
    ConnectionTimeout,
    InvalidApiKey,
    KeyNotProven,
    NotOurs,
    RbeeError,
)
from rbee.contract.events import Event, Resumed, Snapshot
from rbee.contract.nodes import NodeFacts
from rbee.contract.workers import WorkerGone, WorkerRow
from rbee.queen.nodes.fleet import Fleet
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.client import Client, address
from rbee.runtime.concurrency import stop
from rbee.runtime.journal import Position
from rbee.runtime.log import uncorrelated

_EXIT_TOLD_WITHIN_S = 3.0
_RECONNECT_AFTER_S = 0.1
_EXITS_KEPT = 256
_log = logging.getLogger("queen-rbee")


class HiveEvents:
    """Of one node. What is told of the node and its workers goes into the `fleet`. What was told
    while the stream was broken is not lost if the hive still has it. `has_ended`: the hive that was
    followed is not only out of reach."""

    def __init__(self, node: str, queen_events: Broadcast[Event], fleet: Fleet) -> None:
        self._broadcast: Broadcast[Event] = Broadcast()
        self._fleet = fleet
        self._node = node
        self._queen_events = queen_events
        self._following: asyncio.Task[None] | None = None
        self._exits: OrderedDict[str, WorkerGone] = OrderedDict()
        self.has_ended = False

    @property
    def is_followed(self) -> bool:
        return self._following is not None and not self._following.done()

    async def follow(self, client: Client, within_s: float) -> None:
        """Follow the hive's events from now on. Raises CONNECTION_TIMEOUT if the stream does not
        begin in time."""
        await self.stop()
        self.has_ended = False
        begun = asyncio.Event()
        self._following = asyncio.create_task(self._follow(client, begun), context=uncorrelated())
        waiting = asyncio.create_task(begun.wait())
        try:
            await asyncio.wait(
                {waiting, self._following}, timeout=within_s, return_when=FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        if not begun.is_set():
            host, port = address(client.url)
            raise ConnectionTimeout(host=host, port=port, attempts=1)

    async def worker_exit(self, worker_id: str) -> WorkerGone | None:
        """How a worker ended; None if the hive does not tell it within 3 s, or has gone too."""
        if worker_id not in self._exits and self._following is not None:
            with self._broadcast.listen() as coming:
                told = asyncio.create_task(_exit_of(worker_id, coming))
                either, within_s = {told, self._following}, _EXIT_TOLD_WITHIN_S
                try:
                    await asyncio.wait(either, timeout=within_s, return_when=FIRST_COMPLETED)
                finally:
                    await stop(told)
        return self._exits.get(worker_id)

    async def stop(self) -> None:
        if self._following is not None:
            await stop(self._following)
            self._following = None

    def cancel(self, has_ended: bool) -> None:
        """Follow no longer: the hive is gone; `has_ended` if it is known to have."""
        self.has_ended = has_ended
        if self._following is not None:
            self._following.cancel()

    async def _follow(self, client: Client, begun: asyncio.Event) -> None:
        """Until the hive is gone, or another program answers in its place. A stream that broke is
        opened again."""
        try:
            await self._follow_on(client, begun)
        finally:
            self._fleet.lost(self._node)

    async def _follow_on(self, client: Client, begun: asyncio.Event) -> None:
        position = Position()
        while True:
            try:
                async with client.follow(ep.HIVE_EVENTS, position) as events:
                    async for event in events:
                        self._take(event)
                        begun.set()
            except (ConnectionTimeout, InvalidApiKey, KeyNotProven, NotOurs) as error:
                refused = isinstance(error, ConnectionRefused)
                self.has_ended = refused or not isinstance(error, ConnectionTimeout)
                _log.warning("the hive on %s is gone: %s", self._node, error)
                return
            except RbeeError as error:
                _log.warning("the events of the hive on %s broke off: %s", self._node, error)
            await asyncio.sleep(_RECONNECT_AFTER_S)

    def _take(self, event: Event) -> None:
        if isinstance(event, Snapshot):
            self._fleet.connected(self._node, _now())
            for row in event.workers:
                self._pass_on(row)
            if event.facts is not None:
                self._pass_on(event.facts)
        elif isinstance(event, Resumed):
            _log.info("the hive on %s told %d missed events", self._node, event.missed)
        else:
            self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        if isinstance(event, NodeFacts):
            self._fleet.told(self._node, event, _now())
            return  # the queen tells of what it knows itself
        if isinstance(event, WorkerRow):
            self._fleet.worker_told(self._node, event, _now())
        if isinstance(event, WorkerGone):
            self._fleet.worker_gone(self._node, event.worker_id)
            self._exits[event.worker_id] = event
            if event.exit_code != 0:  # kept here too: its node may be gone when somebody asks
                tail = "; ".join(event.log_tail)
                ended = "the worker %s on %s ended: %s; its last lines: %s"
                _log.warning(ended, event.worker_id, self._node, event.reason, tail or "none")
            while len(self._exits) > _EXITS_KEPT:
                self._exits.popitem(last=False)
        self._broadcast.send(event)
        self._queen_events.send(event)


async def _exit_of(worker_id: str, events: AsyncIterator[Event]) -> None:
    """Return when it is told."""
    async for event in events:
        if isinstance(event, WorkerGone) and event.worker_id == worker_id:
            return


def _now() -> float:
    return asyncio.get_running_loop().time()
