"""What people do with workers themselves: start one, ask how they are, end one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract import model_ref
from rbee.contract.config import Config
from rbee.contract.daemons import Ack
from rbee.contract.errors import RbeeError
from rbee.contract.events import Event
from rbee.contract.workers import (
    NodeWorkerRow,
    SpawnRequest,
    StartWorker,
    WorkerCheck,
    WorkerChecks,
    WorkerHealth,
    WorkerName,
    WorkerRow,
)
from rbee.queen.nodes.find_worker import find_worker
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.worker_start import Startup
from rbee.runtime.cancellation import finish
from rbee.runtime.event_queue import Outlet, told
from rbee.runtime.narration import Narrator

_QUEEN = "queen-rbee"
_ANSWER_WITHIN_S = 5.0
# What a hive needs beside the grace: asking, and KILL after TERM.
_BESIDE_GRACE_S = 10.0


class NodeWorkers:
    """Of all nodes."""

    def __init__(self, config: Config, nodes: Nodes) -> None:
        self._aliases: Mapping[str, str] = config.models.aliases
        self._end_within_s = config.times.grace_s + _BESIDE_GRACE_S
        self._nodes = nodes

    def start(self, asked: StartWorker) -> AsyncIterator[Event | None]:
        """Start a worker, also beside one that has the model already. A reader that leaves ends
        the try, and the worker. Raises NODE_NOT_FOUND and INVALID_MODEL_REF before the first
        event."""
        hive = self._nodes.hive(asked.node)
        model = str(model_ref.parse(asked.model, self._aliases))
        fields = {name: getattr(asked, name) for name in SpawnRequest.__struct_fields__}
        wanted = SpawnRequest(**{**fields, "model": model})
        return told(partial(_start, hive, wanted))

    async def health(self, node: str | None) -> WorkerChecks:
        """Every worker of the node, or of all nodes, as it answers now. Raises NODE_NOT_FOUND, and
        for a node that was named why its hive can't be asked."""
        if node is not None:
            hive = self._nodes.hive(node)
            await self._nodes.find_running(hive)
            return WorkerChecks(await _checks(hive))
        await self._nodes.discover()
        found = await asyncio.gather(
            *(_checks(hive) for hive in self._nodes.hives()), return_exceptions=True
        )
        for each in found:
            if isinstance(each, BaseException) and not isinstance(each, RbeeError):
                raise each
        # A hive that does not answer hides nobody else's workers.
        return WorkerChecks([row for each in found if isinstance(each, list) for row in each])

    async def shutdown(self, name: str) -> Ack:
        """End one worker in order, wherever it is; the beginning of its id will do. Raises
        INVALID_REQUEST."""
        row = find_worker(await self._nodes.workers(), name)
        hive = self._nodes.hive(row.node)
        asked = WorkerName(row.worker_id)
        await hive.http.call(ep.HIVE_WORKER_SHUTDOWN, asked, within_s=self._end_within_s)
        return Ack(f"{row.worker_id} on {row.node} has ended.")


async def _start(hive: Hive, wanted: SpawnRequest, outlet: Outlet) -> None:
    narrator = Narrator(outlet.tell, hive.node)
    await hive.ensure_running(narrator)
    narrator.say(_QUEEN, "⏭️", "skipped: worker registry, since another worker is wanted")
    startup = Startup(wanted, hive, outlet)
    try:
        async with startup.heard():
            await startup.provide()
            worker = await startup.load(await startup.spawn())
    except BaseException:
        if startup.spawned is not None:  # nobody wants it any more
            name = WorkerName(startup.spawned)
            await finish(_end(hive, name))
        raise
    outlet.tell(NodeWorkerRow.of(hive.node, worker))


async def _end(hive: Hive, name: WorkerName) -> None:
    await hive.http.call(ep.HIVE_WORKER_SHUTDOWN, name, within_s=_ANSWER_WITHIN_S)


async def _checks(hive: Hive) -> list[WorkerCheck]:
    rows = await hive.workers()
    answers = await asyncio.gather(*(_ask(hive, row) for row in rows))
    return [_check(hive.node, row, answer) for row, answer in zip(rows, answers, strict=True)]


async def _ask(hive: Hive, row: WorkerRow) -> WorkerHealth | None:
    """None where it does not answer in time."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S), await hive.client_for(row.url) as client:
            return await client.call(ep.WORKER_HEALTH, within_s=_ANSWER_WITHIN_S)
    except (RbeeError, TimeoutError):
        return None


def _check(node: str, row: WorkerRow, answer: WorkerHealth | None) -> WorkerCheck:
    check = WorkerCheck(
        worker_id=row.id,
        node=node,
        model_ref=row.model_ref,
        state=row.state,
        status="unreachable",
        last_health=row.last_health,
    )
    if answer is None:
        return check
    return msgspec.structs.replace(check, status=answer.status, memory_bytes=answer.memory_bytes)
