"""Phase 8: the answer of one worker, relayed as it comes; in the worker's line where it is full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    AllSlotsBusy,
    StreamTruncated,
    WorkerCrashed,
)
from rbee.contract.events import Accepted, Done, Started, Token
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import WorkerGone, WorkerRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.tasks.queue import Queue
from rbee.runtime.cancellation import finish
from rbee.runtime.client import Client
from rbee.runtime.event_queue import Outlet

_CANCEL_WITHIN_S = 1.0


class Inference:
    """Runs once. `tokens` counts what has been relayed."""

    def __init__(
        self,
        request_id: str,
        request: TaskRequest,
        worker: WorkerRow,
        hive: Hive,
        queue: Queue,
        outlet: Outlet,
    ) -> None:
        self.tokens = 0
        self._request_id = request_id
        self._request = request
        self._worker = worker
        self._hive = hive
        self._queue = queue
        self._outlet = outlet

    async def run(self) -> None:
        """Up to `done`. Raises ALL_SLOTS_BUSY where nobody may wait, QUEUE_FULL, WORKER_CRASHED,
        and what the worker itself raises."""
        async with await self._hive.client_for(self._worker.url) as client:
            try:
                if not self._queue.has_line(self._worker.id):
                    await self._relay(client)
                    return
            except AllSlotsBusy:
                if self._queue.limit == 0:
                    raise
            await self._wait_and_relay(client)

    async def _wait_and_relay(self, client: Client) -> None:
        told = None
        with self._queue.join(self._worker.id, self._worker.slots_total) as ticket:
            async for place in ticket.turns():
                if place != told:
                    self._outlet.tell(place)
                    told = place
                if place.position > 1:
                    continue
                try:
                    await self._relay(client, ticket.leave)
                    return
                except AllSlotsBusy:
                    continue

    async def _relay(self, client: Client, on_accepted: Callable[[], None] = lambda: None) -> None:
        worker, done = self._worker, False
        request = self._request.inference(self._request_id)
        async with client.stream(ep.WORKER_INFERENCE, request) as events:
            try:
                async for event in events:
                    if isinstance(event, Accepted):
                        on_accepted()
                        node = self._hive.node
                        started = Started(self._request_id, worker.model_ref, worker.id, node)
                        self._outlet.tell(started)
                    elif isinstance(event, Token | Done):
                        self.tokens += isinstance(event, Token)
                        done = isinstance(event, Done)
                        await self._outlet.send(event)
            except StreamTruncated:
                done = False
            except asyncio.CancelledError:
                # Closing the connection would do, but for a proxy between that keeps it open.
                name = self._request_id
                await finish(
                    client.call(ep.WORKER_CANCEL, within_s=_CANCEL_WITHIN_S, request_id=name)
                )
                raise
        if not done:
            gone = await self._hive.worker_exit(worker.id)
            node, wanted = self._hive.node, self._request.max_tokens
            raise crashed(gone, worker.id, node, self.tokens, wanted)


def crashed(
    gone: WorkerGone | None,
    worker_id: str,
    node: str,
    tokens: int,
    max_tokens: int,
    otherwise: str = "its connection broke",
) -> WorkerCrashed:
    """The error for a worker that went; `gone` is the hive's word of its end, if there is one,
    and `otherwise` what is said without."""
    why = gone.reason if gone else otherwise
    return WorkerCrashed(
        f"The worker {worker_id} on {node} ended after {tokens} of {max_tokens} tokens: {why}.",
        worker_id=worker_id,
        node=node,
        tokens=tokens,
        max_tokens=max_tokens,
        log_tail=gone.log_tail if gone else [],
    )
