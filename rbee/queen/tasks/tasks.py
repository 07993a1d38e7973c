"""All tasks that run: each from its request to its end, and each can be canceled by its id."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator

from rbee.contract import model_ref
from rbee.contract.config import Config
from rbee.contract.errors import Internal, RbeeError, RequestCanceled, ShuttingDown
from rbee.contract.events import Accepted, Event
from rbee.contract.tasks import TaskRequest
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.tasks.queue import Queue
from rbee.queen.tasks.task import Errand
from rbee.runtime.cancellation import stop
from rbee.runtime.gauges import Gauge
from rbee.runtime.log import correlation_id

_log = logging.getLogger("queen-rbee")


class Tasks:
    """The only owner of the tasks."""

    def __init__(self, config: Config, nodes: Nodes) -> None:
        self._config = config
        self._nodes = nodes
        self._queue = Queue(config.queen.queue_limit)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._why: dict[str, RbeeError] = {}

    async def stream(self, request: TaskRequest) -> AsyncIterator[Event]:
        """The events of one task. Raises NODE_NOT_FOUND and INVALID_MODEL_REF before the first;
        what goes wrong later is raised then. A reader that leaves cancels the task."""
        if request.node is not None:
            self._nodes.hive(request.node)
        models = self._config.models
        name = request.model or models.default or model_ref.DEFAULT
        model = model_ref.parse(name, models.aliases)
        request_id = secrets.token_hex(8)
        errand = Errand(request_id, request, model, self._nodes, self._queue)
        task = asyncio.create_task(errand.run())
        self._running[request_id] = task
        task.add_done_callback(lambda done: self._end(request_id, errand, done))
        try:
            yield Accepted(request_id)
            async for event in errand.outlet.read():
                yield event
        finally:
            await stop(task)

    def gauges(self) -> list[Gauge]:
        """What /metrics tells of the work."""
        return [
            Gauge("rbee_tasks_running", "Tasks that run or wait.", len(self._running)),
            Gauge("rbee_queue_waiting", "Tasks that wait for a slot.", self._queue.waiting),
            Gauge("rbee_queue_limit", "Tasks that may wait.", self._queue.limit),
        ]

    def cancel(self, request_id: str, why: RbeeError | None = None) -> None:
        """End a task wherever it is; one that does not run any more is no error."""
        if request_id in self._running:
            self._why.setdefault(request_id, why or RequestCanceled())
            self._running[request_id].cancel()

    def end_all(self) -> None:
        """End every task with SHUTTING_DOWN."""
        for request_id in list(self._running):
            self.cancel(request_id, ShuttingDown("The queen is shutting down."))

    async def empty(self) -> None:
        """Wait until no task runs; what its reader has not read yet is not waited for."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    def _end(self, request_id: str, errand: Errand, task: asyncio.Task[None]) -> None:
        """Tell the reader how the task ended; also one that was canceled before it began."""
        del self._running[request_id]
        why = self._why.pop(request_id, None)
        error = None if task.cancelled() else task.exception()
        if error is None or isinstance(error, RbeeError):
            errand.outlet.end(error or why)
        else:
            _log.error("the task %s failed", request_id, exc_info=error)
            errand.outlet.end(Internal(correlation_id=correlation_id.get()))
