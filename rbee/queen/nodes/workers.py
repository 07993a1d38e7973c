"""What people do with workers: start one, check them, end one."""

from __future__ import annotations

import asyncio
import contextlib
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
    EndWorker,
    LoadedModel,
    NodeWorkerRow,
    SpawnRequest,
    StartWorker,
    WorkerCheck,
    WorkerChecks,
    WorkerHealth,
    WorkerRow,
    WorkerWish,
)
from rbee.queen.nodes.find_worker import find_worker
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.node_wish import NodeWish, OnNode
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.worker_start import WorkerStart
from rbee.runtime.concurrency import finish
from rbee.runtime.event_queue import EventQueue, run_as_stream
from rbee.runtime.narration import Narrator

_QUEEN = "queen-rbee"
# On top of the grace: the hive asks first, and sends KILL after TERM.
_BESIDE_GRACE_S = 10.0


class NodeWorkers:
    """The workers of all nodes."""

    def __init__(self, config: Config, nodes: Nodes, on_node: OnNode) -> None:
        """`on_node` chooses the node of a worker."""
        self._aliases: Mapping[str, str] = config.models.aliases
        self._end_within_s = config.times.grace_s + _BESIDE_GRACE_S
        self._nodes = nodes
        self._on_node = on_node

    def start(self, asked: StartWorker) -> AsyncIterator[Event | None]:
        """Start a worker, even beside one that has the model already. If the reader leaves, the
        start is given up and its worker ends. Raises NODE_NOT_FOUND and INVALID_MODEL_REF before
        the first event."""
        self._nodes.hive(asked.node)
        model = model_ref.parse(asked.model, self._aliases)
        fields = {name: getattr(asked, name) for name in WorkerWish.__struct_fields__}
        wanted = SpawnRequest(**{**fields, "model": str(model)}, end_with_reader=True)
        wish = NodeWish(
            model=model,
            node=asked.node,
            backend=asked.backend,
            device=asked.device,
            force=asked.force,
            explain=asked.explain,
        )
        return run_as_stream(
            lambda events: self._on_node(wish, events, partial(_start, wanted, events))
        )

    async def health(self, node: str | None) -> WorkerChecks:
        """Ask every worker of the node, or of all nodes, now. Raises NODE_NOT_FOUND and, for a
        named node, the reason why its hive can't be asked."""
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
        # A hive that does not answer must not hide the workers of others.
        return WorkerChecks([row for each in found if isinstance(each, list) for row in each])

    async def loaded(self) -> list[LoadedModel]:
        """What is in the memory of all nodes whose hives run, as they tell at this moment. A hive
        that does not answer hides no other."""
        asked = (_loaded(hive) for hive in self._nodes.hives() if hive.is_running)
        return [model for part in await asyncio.gather(*asked) for model in part]

    async def shutdown(self, name: str) -> Ack:
        """Shut one worker down in order, wherever it is; the start of its id is enough. Raises
        INVALID_REQUEST."""
        row = find_worker(await self._nodes.workers(), name)
        hive = self._nodes.hive(row.node)
        asked = EndWorker(row.worker_id)
        await hive.http.call(ep.HIVE_WORKER_SHUTDOWN, asked, within_s=self._end_within_s)
        return Ack(f"{row.worker_id} on {row.node} has ended.")


async def _start(wanted: SpawnRequest, events: EventQueue, hive: Hive) -> None:
    narrator = Narrator(events.put_nowait, hive.node)
    await hive.ensure_running(narrator)
    narrator.say(_QUEEN, "⏭️", "skipped: worker registry, since another worker is wanted")
    start = WorkerStart(wanted, hive, events)
    try:
        await start.provide_model()
        async with contextlib.aclosing(start.spawn()) as rows:
            # Whoever wants the same model waits for this worker, and starts none beside it.
            async with hive.worker_start_lock:
                worker = await anext(rows)
            async for loaded in rows:
                worker = loaded
    except BaseException:
        if start.worker_id is not None:  # its hive ends it; wait for that
            await finish(_end(hive, EndWorker(start.worker_id)))
        raise
    events.put_nowait(NodeWorkerRow.of(hive.node, worker))


async def _end(hive: Hive, name: EndWorker) -> None:
    await hive.http.call(ep.HIVE_WORKER_SHUTDOWN, name, within_s=5)


async def _loaded(hive: Hive) -> list[LoadedModel]:
    try:
        return (await hive.http.call(ep.HIVE_LOADED)).models
    except RbeeError:
        return []


async def _checks(hive: Hive) -> list[WorkerCheck]:
    rows = await hive.workers()
    answers = await asyncio.gather(*(_ask(hive, row) for row in rows))
    return [_check(hive.node, row, answer) for row, answer in zip(rows, answers, strict=True)]


async def _ask(hive: Hive, row: WorkerRow) -> WorkerHealth | None:
    """None if it does not answer in time."""
    try:
        async with (
            asyncio.timeout(ep.WORKER_HEALTH.within_s),
            await hive.client_for(row.url) as client,
        ):
            return await client.call(ep.WORKER_HEALTH)
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
