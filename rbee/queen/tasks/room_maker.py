"""Does what was decided about memory: ends idle workers for a model that has no room, and starts a
second worker for a model that many ask for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import (
    ConnectionTimeout,
    InvalidRequest,
    ModelInUse,
    RbeeError,
    ShuttingDown,
)
from rbee.contract.events import Event, Narration
from rbee.contract.model_ref import ModelRef
from rbee.contract.workers import EndWorker, SpawnRequest
from rbee.queen.nodes.fleet import FleetWorker
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.worker_start import WorkerStart
from rbee.queen.tasks.decide import Spot
from rbee.queen.tasks.replicas import Replica
from rbee.runtime.event_queue import EventQueue
from rbee.runtime.gauges import Gauge
from rbee.runtime.log import uncorrelated
from rbee.runtime.narration import Narrator, Say

# On top of the grace of a worker, which its hive asks first, and sends KILL after TERM.
_BESIDE_GRACE_S = 10.0
_QUEEN = "queen-rbee"
_log = logging.getLogger(_QUEEN)


class RoomMaker:
    """Counts what it does, for /metrics."""

    def __init__(self, config: Config, nodes: Nodes) -> None:
        self._end_within_s = config.times.grace_s + _BESIDE_GRACE_S
        self._nodes = nodes
        self._replicating: set[asyncio.Task[None]] = set()
        self._swaps = self._evictions = self._replicas = 0

    def gauges(self) -> list[Gauge]:
        """The figures of /metrics."""
        swaps = "Starts of a worker for which idle workers ended."
        evictions = "Idle workers that ended to make room."
        replicas = "Second workers that were started for a model."
        return [
            Gauge("rbee_swaps", swaps, self._swaps, kind="counter"),
            Gauge("rbee_evictions", evictions, self._evictions, kind="counter"),
            Gauge("rbee_replicas", replicas, self._replicas, kind="counter"),
        ]

    async def make_room(self, spot: Spot, model: ModelRef, say: Say) -> FleetWorker | None:
        """End the workers that must end for the model, and say so. Stops at the first that is used
        after all, and returns it."""
        hive = self._nodes.hive(spot.node)
        for worker in spot.ends:
            row = worker.row
            idle_s = max(0.0, time.time() - (row.last_activity or time.time()))
            text = f"ending {row.id} ({row.model_ref}) on {spot.node}, idle for {idle_s:.0f} s"
            say(_QUEEN, "🧹", f"making room: {text}, for {model}")
            asked = EndWorker(row.id, only_if_idle=True)
            try:
                await hive.http.call(ep.HIVE_WORKER_SHUTDOWN, asked, within_s=self._end_within_s)
            except InvalidRequest:  # there is none any more: it has ended by itself
                continue
            except ModelInUse:
                return worker
            except (ConnectionTimeout, ShuttingDown):  # its hive has gone, and the workers with it
                break
            self._evictions += 1
        self._swaps += bool(spot.ends)
        return None

    def replicate(self, replica: Replica) -> None:
        """Start the worker, in a task of its own: those that wait go on waiting for any slot."""
        starting = asyncio.create_task(self._replicate(replica), context=uncorrelated())
        self._replicating.add(starting)
        starting.add_done_callback(self._replicating.discard)

    def cancel(self) -> None:
        """Give up every second worker that is being started."""
        for starting in self._replicating:
            starting.cancel()

    async def _replicate(self, replica: Replica) -> None:
        start, fleet = replica.start, self._nodes.fleet
        where = f"{start.backend}:{start.index} of {start.node}"
        _log.info("many ask for %s: starting a second worker on %s", replica.model, where)
        try:
            await self._start(replica)
            self._replicas += 1
        except RbeeError as error:
            _log.warning("no second worker for %s on %s: %s", replica.model, where, error)
            fleet.failures[start.node, start.repository] = asyncio.get_running_loop().time()
        finally:
            fleet.finish(start)

    async def _start(self, replica: Replica) -> None:
        """Until its model is loaded. Raises why it is not."""
        start, want = replica.start, replica.want
        hive = self._nodes.hive(start.node)
        events = EventQueue()
        index = None if start.backend == "cpu" else start.index
        wanted = SpawnRequest(replica.model, start.backend, index, context=want.context)
        work = WorkerStart(wanted, hive, events)
        await hive.ensure_running(Narrator(_log_narration, hive.node))
        async with contextlib.aclosing(work.spawn()) as rows:
            async with hive.worker_start_lock:
                await anext(rows)
            async for _ in rows:
                pass


def _log_narration(event: Event) -> None:
    if isinstance(event, Narration):
        _log.info("%s", event.text)
