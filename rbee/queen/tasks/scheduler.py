"""The owner of all tasks: each on the first node that can, and each canceled by its id."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import TypeAlias

import msgspec

from rbee.contract import model_ref
from rbee.contract.config import Config
from rbee.contract.errors import (
    AllSlotsBusy,
    RbeeError,
    RequestCanceled,
    ShuttingDown,
    TooManyRequests,
    WorkerCrashed,
)
from rbee.contract.events import Accepted, Event
from rbee.contract.queue import Decision, TaskRow
from rbee.contract.tasks import TaskRequest
from rbee.queen.keys.access import Access
from rbee.queen.nodes.fleet import FleetWorker
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.tasks.attempt import Attempt
from rbee.queen.tasks.decide import Spot
from rbee.queen.tasks.dispatcher import Dispatcher, Turn
from rbee.queen.tasks.key_figures import KeyFigures
from rbee.queen.tasks.node_choice import NodeChoice, is_same
from rbee.queen.tasks.room import Rules
from rbee.queen.tasks.room_maker import RoomMaker
from rbee.queen.tasks.sessions import Sessions
from rbee.queen.tasks.task import Answered, AtOnce, CountRequest, Request, Task, TextRequest
from rbee.queen.tasks.task_rows import task_rows
from rbee.queen.tasks.wants import Want
from rbee.queen.tasks.watchdog import Watchdog
from rbee.runtime.concurrency import stop
from rbee.runtime.gauges import Gauge, Histogram
from rbee.runtime.keyring import OPERATOR, Caller

Try: TypeAlias = Callable[[Task, Hive, Turn, FleetWorker | None, bool], Awaitable[None]]
_log = logging.getLogger("queen-rbee")


class Scheduler:
    """The only owner of the tasks. `attempt` answers a task on one node; `on_node` does other work
    on the node that a task would get."""

    def __init__(self, config: Config, nodes: Nodes, attempt: Try | None = None) -> None:
        self._models = config.models
        self._access = Access(config.models)
        self._nodes = nodes
        self._try = attempt or _attempt
        self._room = RoomMaker(config, nodes)
        queen = config.queen
        rules = Rules(queen.swap_patience_s, queen.replicate_after_s)
        self._dispatcher = Dispatcher(
            nodes.fleet, queen.queue_limit, queen.operator_weight, rules, self._room.replicate
        )
        self.on_node = NodeChoice(nodes, self._dispatcher, self._room)
        self._sessions = Sessions()
        self._running: dict[str, tuple[Task, asyncio.Task[None]]] = {}
        self._reserved: Counter[str] = Counter()
        self._turns: dict[str, Turn] = {}
        self._figures = KeyFigures()
        self.watchdog = Watchdog(lambda: self._dispatcher.undecided_s)

    def stream(
        self, request: TaskRequest, caller: Caller = OPERATOR, has_place: bool = False
    ) -> AsyncGenerator[Event, None]:
        """The events of one task. Raises NODE_NOT_FOUND, INVALID_MODEL_REF and MODEL_NOT_ALLOWED at
        once, TOO_MANY_REQUESTS before the first event unless it `has_place`, one that is reserved;
        what goes wrong later is raised then. A reader that leaves cancels the task."""
        return self._follow(self._task(request, caller, has_place))

    async def ask(self, request: AtOnce, caller: Caller = OPERATOR) -> Answered:
        """What one task is answered that has no stream. Raises what `stream` raises; a client
        that is canceled cancels the task."""
        task = self._task(request, caller)
        async with contextlib.aclosing(self._follow(task)) as events:
            async for _ in events:
                pass
        assert task.reply is not None  # or an error was raised
        return task.reply

    @contextlib.contextmanager
    def reserve(self, caller: Caller, most: int) -> Iterator[int]:
        """Keep places for the tasks of one request, `most` at most, so that none of them is refused
        once others have begun; says how many may run at once. Raises TOO_MANY_REQUESTS if no place
        is left."""
        places = self._places(caller, most)
        self._reserved[caller.name] += places
        try:
            yield places
        finally:
            self._reserved[caller.name] -= places

    def _places(self, caller: Caller, most: int) -> int:
        """How many tasks more it may have in flight, `most` at most. Raises TOO_MANY_REQUESTS."""
        if caller.limit is None:
            return most
        others = sum(
            task.caller.name == caller.name and not task.has_place
            for task, _ in self._running.values()
        )
        left = caller.limit - others - self._reserved[caller.name]
        if left < 1:
            raise TooManyRequests(key=caller.name, limit=caller.limit)
        return min(most, left)

    def _task(self, request: Request, caller: Caller, has_place: bool = False) -> Task:
        if request.node is not None:
            self._nodes.hive(request.node)
        name = request.model or self._models.default or model_ref.DEFAULT
        model = model_ref.parse(name, self._models.aliases)
        self._access.check(caller, model, request.force, is_named=request.model is not None)
        if caller.role == "use" and isinstance(request, TaskRequest):
            # How long a model stays is for those who manage: others use it too.
            request = msgspec.structs.replace(request, keep_alive=None)
        return Task(request, model, caller, has_place)

    async def _follow(self, task: Task) -> AsyncGenerator[Event, None]:
        if not task.has_place:
            self._places(task.caller, 1)
        asked = task.request
        if isinstance(asked, TaskRequest) and asked.session is not None:
            task.session = self._sessions.of(task.caller.name, task.model_name, asked.session)
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
            if not _sees(caller, task):
                return
            task.cancel_reason = task.cancel_reason or why or RequestCanceled()
            running.cancel()

    def cancel_all(self) -> None:
        """End every task with SHUTTING_DOWN."""
        self._room.cancel()
        for request_id in list(self._running):
            self.cancel(request_id, why=ShuttingDown("The queen is shutting down."))

    async def wait_until_idle(self) -> None:
        """Wait until no task runs; events that a reader has not read yet are not waited for."""
        while self._running:
            await asyncio.wait([running for _, running in self._running.values()])

    @property
    def waiting(self) -> int:
        """How many tasks wait for a slot."""
        return self._dispatcher.queue.waiting

    def rows(self, caller: Caller = OPERATOR) -> list[TaskRow]:
        """The tasks that run or wait; to a `caller` who does not manage, its own."""
        known = ((task, self._turns.get(key)) for key, (task, _) in self._running.items())
        shown = ((task, turn) for task, turn in known if turn and _sees(caller, task))
        return task_rows(shown, self._dispatcher.waits())

    def decisions(self) -> list[Decision]:
        """The last decisions on tasks, the oldest first."""
        return self._dispatcher.decisions.last

    def gauges(self) -> list[Gauge | Histogram]:
        """The figures of /metrics about tasks."""
        return [
            Gauge("rbee_tasks_running", "Tasks that run or wait.", len(self._running)),
            Gauge(
                "rbee_queue_waiting", "Tasks that wait for a slot.", self._dispatcher.queue.waiting
            ),
            Gauge("rbee_queue_limit", "Tasks that may wait.", self._dispatcher.queue.limit),
            *self._room.gauges(),
            *self._figures.gauges(self._in_flight()),
            *self._dispatcher.decisions.gauges(),
        ]

    def _in_flight(self) -> Counter[str]:
        """The tasks that run or wait, by their key's name."""
        return Counter(task.caller.name for task, _ in self._running.values())

    async def _run(self, task: Task) -> None:
        """To the last token, on the first node that can. If none can, raises the error of the
        first choice."""
        turn = self._dispatcher.enter(task.caller, task.tell, task.id)
        self._turns[task.id] = turn
        try:
            await self._serve(task, turn)
        finally:
            del self._turns[task.id]
            turn.end(task.tokens + task.tokens_read)

    async def _serve(self, task: Task, turn: Turn) -> None:
        asked = task.request
        takes_slot = not isinstance(asked, TextRequest | CountRequest)
        where = asked.node, asked.backend, asked.device, asked.context
        want = Want(task.model, *where, takes_slot, asked.force)
        tried: Spot | None = None

        async def attempt(hive: Hive, spot: Spot) -> None:
            nonlocal tried
            is_told, tried = is_same(tried, spot), spot
            try:
                await self._try(task, hive, turn, spot.worker, is_told)
            except AllSlotsBusy:
                task.is_sent = False
                raise

        await self.on_node.do(
            want,
            turn,
            task.tell,
            attempt,
            explains=asked.explain,
            session=task.session,
            is_sent=lambda: task.is_sent,
        )

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


def _sees(caller: Caller, task: Task) -> bool:
    """Whether it may see the task, and end it."""
    return caller.role == "manage" or task.caller is caller


async def _attempt(
    task: Task, hive: Hive, turn: Turn, worker: FleetWorker | None, is_told: bool
) -> None:
    await Attempt(task, hive, turn, worker.row if worker else None, is_told).run()
