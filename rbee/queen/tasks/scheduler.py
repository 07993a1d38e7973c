"""All tasks that run: each on the first node that can, and each canceled by its id."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from rbee.contract import errors, model_ref
from rbee.contract.config import Config
from rbee.contract.embeddings import EmbeddingReply, RerankReply
from rbee.contract.errors import (
    InvalidApiKey,
    RbeeError,
    RequestCanceled,
    ShuttingDown,
    TooManyRequests,
    WorkerCrashed,
)
from rbee.contract.events import Accepted, Event
from rbee.contract.registry import LOCAL
from rbee.contract.tasks import TaskRequest
from rbee.queen.keys.access import Access
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.tasks.attempt import Attempt
from rbee.queen.tasks.choose_node import choose_node
from rbee.queen.tasks.key_figures import KeyFigures
from rbee.queen.tasks.placement import Verdict
from rbee.queen.tasks.queue import Queue
from rbee.queen.tasks.task import Task, VectorRequest
from rbee.runtime.concurrency import stop
from rbee.runtime.gauges import Gauge
from rbee.runtime.keyring import OPERATOR, Caller

# What one node can't do and another may.
_OTHERS_MAY = (
    errors.BackendUnavailable,
    errors.ConnectionTimeout,
    errors.DiskFull,
    errors.InvalidApiKey,
    errors.KeyNotProven,
    errors.LoadingTimeout,
    errors.ModelNotFound,
    errors.PortBlocked,
    errors.ProgramFailed,
    errors.SshConnectionFailed,
    errors.VersionMismatch,
    errors.VramExhausted,
)

_log = logging.getLogger("queen-rbee")


class Scheduler:
    """The only owner of the tasks. `attempt` answers a task on one node; `choose` orders the nodes
    of a task that names none."""

    def __init__(
        self,
        config: Config,
        nodes: Nodes,
        attempt: Callable[[Task, Hive], Awaitable[None]] = lambda task, hive: Attempt(
            task, hive
        ).run(),
        choose: Callable[[Nodes, Task], Awaitable[list[Verdict]]] = choose_node,
    ) -> None:
        self._models = config.models
        self._access = Access(config.models)
        self._nodes = nodes
        self._attempt = attempt
        self._choose = choose
        self._queue = Queue(config.queen.queue_limit)
        self._running: dict[str, tuple[Task, asyncio.Task[None]]] = {}
        self._figures = KeyFigures()

    async def stream(
        self, request: TaskRequest, caller: Caller = OPERATOR
    ) -> AsyncGenerator[Event, None]:
        """The events of one task. Raises NODE_NOT_FOUND, INVALID_MODEL_REF, MODEL_NOT_ALLOWED and
        TOO_MANY_REQUESTS before the first; what goes wrong later is raised then. A reader that
        leaves cancels the task."""
        async with contextlib.aclosing(self._follow(self._task(request, caller))) as events:
            async for event in events:
                yield event

    async def ask(
        self, request: VectorRequest, caller: Caller = OPERATOR
    ) -> EmbeddingReply | RerankReply:
        """What one task is answered that has no stream. Raises what `stream` raises; a client
        that is canceled cancels the task."""
        task = self._task(request, caller)
        async with contextlib.aclosing(self._follow(task)) as events:
            async for _ in events:
                pass
        assert task.reply is not None  # or an error was raised
        return task.reply

    def _task(self, request: TaskRequest | VectorRequest, caller: Caller) -> Task:
        if request.node is not None:
            self._nodes.hive(request.node)
        name = request.model or self._models.default or model_ref.DEFAULT
        model = model_ref.parse(name, self._models.aliases)
        self._access.check(caller, model, request.force)
        if caller.limit is not None and self._in_flight()[caller.name] >= caller.limit:
            raise TooManyRequests(key=caller.name, limit=caller.limit)
        if caller.role == "use" and isinstance(request, TaskRequest):
            # How long a model stays is for those who manage: others use it too.
            request = msgspec.structs.replace(request, keep_alive=None)
        return Task(request, model, self._queue, caller)

    async def _follow(self, task: Task) -> AsyncGenerator[Event, None]:
        self._figures.begin(task)
        running = asyncio.create_task(self._run(task))
        self._running[task.id] = task, running
        running.add_done_callback(lambda done: self._end(task, done))
        try:
            yield Accepted(task.id)
            async for event in task.events.read():
                yield event
        finally:
            await stop(running)

    def cancel(
        self, request_id: str, caller: Caller = OPERATOR, why: RbeeError | None = None
    ) -> None:
        """End a task wherever it is; one that no longer runs is not an error, nor is one of
        somebody else, which goes on unless the `caller` manages."""
        if request_id in self._running:
            task, running = self._running[request_id]
            if caller.role != "manage" and task.caller is not caller:
                return
            task.cancel_reason = task.cancel_reason or why or RequestCanceled()
            running.cancel()

    def cancel_all(self) -> None:
        """End every task with SHUTTING_DOWN."""
        for request_id in list(self._running):
            self.cancel(request_id, why=ShuttingDown("The queen is shutting down."))

    async def wait_until_idle(self) -> None:
        """Wait until no task runs; events that a reader has not read yet are not waited for."""
        while self._running:
            await asyncio.wait([running for _, running in self._running.values()])

    def gauges(self) -> list[Gauge]:
        """The figures of /metrics about tasks."""
        return [
            Gauge("rbee_tasks_running", "Tasks that run or wait.", len(self._running)),
            Gauge("rbee_queue_waiting", "Tasks that wait for a slot.", self._queue.waiting),
            Gauge("rbee_queue_limit", "Tasks that may wait.", self._queue.limit),
            *self._figures.gauges(self._in_flight()),
        ]

    def _in_flight(self) -> Counter[str]:
        """The tasks that run or wait, by their key's name."""
        return Counter(task.caller.name for task, _ in self._running.values())

    async def _run(self, task: Task) -> None:
        """To the last token, on the first node that can. If none can, raises the error of the
        first choice."""
        first: RbeeError | None = None
        for node in await self._order(task):
            if first is not None:
                _narrate_placement(task, f"{first.message.rstrip('.')}; trying {node}")
            try:
                await self._attempt(task, self._nodes.hive(node))
                return
            except _OTHERS_MAY as error:
                if isinstance(error, InvalidApiKey) and node != LOCAL:
                    error.details.setdefault("node", node)  # it is not the queen's own
                first = first or error
        assert first is not None  # there is always this machine
        raise first

    async def _order(self, task: Task) -> list[str]:
        if task.request.node is not None:
            return [task.request.node]
        if not self._nodes.registry.rows():
            if task.request.explain:
                _narrate_placement(task, f"{LOCAL}, the only node there is")
            return [LOCAL]
        verdicts = await self._choose(self._nodes, task)
        able = [verdict for verdict in verdicts if verdict.can]
        if task.request.explain:
            for verdict in verdicts:
                can = "can" if verdict.can else "can't"
                _narrate_placement(task, f"{verdict.node} {can}: {', '.join(verdict.reasons)}")
        if not able:
            return [LOCAL]
        _narrate_placement(task, f"{able[0].node}, since {', '.join(able[0].reasons)}")
        return [verdict.node for verdict in able]

    def _end(self, task: Task, running: asyncio.Task[None]) -> None:
        """Tell the reader how the task ended, also if it was canceled before it began."""
        del self._running[task.id]
        self._figures.end(task)
        error = None if running.cancelled() else running.exception()
        if error is not None and not isinstance(error, RbeeError):
            _log.error("the task %s failed", task.id, exc_info=error)
        if isinstance(error, WorkerCrashed) and task.caller.role != "manage":
            error.details["log_tail"] = []  # others use the worker too
        task.events.close(error if isinstance(error, Exception) else task.cancel_reason)


def _narrate_placement(task: Task, text: str) -> None:
    task.narrate("🧭", f"placement: {text}")
