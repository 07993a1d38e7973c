"""Any course of things: tasks come and are canceled, workers come, load, crash and go, strangers
take their slots, hives lose their connection and come back, and what they tell is late. No slot is
given twice, no task waits beside a free one, and in the end everything is free again.

The scheduler, the dispatcher and the fleet are the real ones. Time is simulated: nothing sleeps.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbee.contract.config import Config
from rbee.contract.errors import (
    AllSlotsBusy,
    ConnectionTimeout,
    NodeNotFound,
    QueueFull,
    RbeeError,
    VramExhausted,
    WorkerCrashed,
)
from rbee.contract.nodes import HeldModel, NodeFacts
from rbee.contract.tasks import TaskRequest
from rbee.contract.texts import TokenizeRequest
from rbee.contract.workers import WorkerRow, WorkerState
from rbee.queen.nodes.fleet import Fleet, FleetWorker
from rbee.queen.tasks.dispatcher import Turn
from rbee.queen.tasks.scheduler import Scheduler
from rbee.queen.tasks.task import Task, TextRequest
from rbee.runtime.gauges import Gauge
from rbee.runtime.keyring import Caller
from tests.queen.tasks.conftest import histories

NODES = ("localhost", "a", "b")
MODELS = ("hf:o/one/m.gguf", "hf:o/two/m.gguf")
KEYS = tuple(Caller(name, "use") for name in ("ann", "bob", "eve"))
# How late what a hive tells is known, how long a load takes, and the most that a task runs.
LATE_S, LOAD_S, LONGEST_S = 0.05, 0.5, 3.0
# Longer than anything that a hive tells is late, and than the dispatcher waits to ask again.
UNFAIR_S = 1.0
MOST_WORKERS = 3
OUTCOMES = ("done", "left", *(each.code for each in (QueueFull, AllSlotsBusy, ConnectionTimeout)))
OUTCOMES += (VramExhausted.code, WorkerCrashed.code)


class Skipping(selectors.DefaultSelector):
    """Does not wait: the time that would have passed has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits for nothing"
        self.now += max(timeout, 0.0)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose time is simulated. `broken` are exceptions that nobody has caught."""

    def __init__(self) -> None:
        self.skipping = Skipping()
        self.broken: list[Any] = []
        super().__init__(self.skipping)
        self.set_exception_handler(lambda _, context: self.broken.append(context))

    def time(self) -> float:
        return self.skipping.now


def simulate(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(work)
        loop = runner.get_loop()
        assert isinstance(loop, SimulatedLoop)
        assert not loop.broken


class Worker:
    """A real one. `ours` are the tasks of this queen that it answers."""

    def __init__(self, name: str, model: str, slots: int, is_loaded: bool = True) -> None:
        self.name, self.model, self.slots = name, model, slots
        self.loaded, self.gone = asyncio.Event(), asyncio.Event()
        self.strangers = 0
        self.ours: set[str] = set()
        if is_loaded:
            self.loaded.set()

    @property
    def free(self) -> int:
        return self.slots - self.strangers - len(self.ours)

    def row(self) -> WorkerRow:
        state: WorkerState = "idle" if self.free == self.slots else "busy"
        known = self.loaded.is_set()
        facts = (state if known else "loading", None, None, self.slots, self.free if known else 0)
        return WorkerRow(self.name, "http://w", self.model, "cpu", 0, *facts)


class Machine:
    """A node with its hive, which tells of every change, a moment later, while it is followed."""

    def __init__(self, name: str, fleet: Fleet) -> None:
        self.node = name
        self.workers: dict[str, Worker] = {}
        self.is_followed = False
        self._fleet = fleet
        # Of this stream: what an earlier one has not delivered is lost.
        self._unread: deque[Any] = deque()
        self._count = 0

    def follow(self) -> None:
        self._unread = deque()
        self.is_followed = True
        self._fleet.connected(self.node, now())
        held = [HeldModel(model, None, 1, 1) for model in MODELS]
        self._tell(lambda: self._fleet.told(self.node, NodeFacts(["cpu"], {"cpu": 1}, [], held, 1)))
        for worker in self.workers.values():
            self.tell(worker)

    def lose(self) -> None:
        self._unread = deque()
        self.is_followed = False
        self._fleet.lost(self.node)

    def start(self, model: str, slots: int, is_loaded: bool) -> Worker:
        self._count += 1
        worker = Worker(f"{self.node}-{self._count}", model, slots, is_loaded)
        self.workers[worker.name] = worker
        self.tell(worker)
        return worker

    def end(self, worker: Worker) -> None:
        if self.workers.pop(worker.name, None) is not None:
            worker.gone.set()
            self._tell(lambda: self._fleet.worker_gone(self.node, worker.name))

    def tell(self, worker: Worker) -> None:
        row = worker.row()
        if worker.name in self.workers:
            self._tell(lambda: self._fleet.worker_told(self.node, row, now()))

    def _tell(self, news: Any) -> None:
        if self.is_followed:
            self._unread.append(news)
            asyncio.get_running_loop().call_later(LATE_S, self._deliver, self._unread)

    def _deliver(self, unread: deque[Any]) -> None:
        news = unread.popleft()
        if unread is self._unread:
            news()


class Nodes:
    """What a scheduler needs of the nodes."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.all = {name: Machine(name, self.fleet) for name in NODES}
        self.machines = {**self.all}
        self.registry = self

    def rows(self) -> Sequence[str]:
        return NODES

    def hive(self, name: str) -> Machine:
        if name not in self.machines:
            raise NodeNotFound(node=name, known=list(self.machines))
        return self.machines[name]

    def remove(self, machine: Machine) -> None:
        """Somebody takes it out of the registry: its hive is left alone."""
        machine.lose()
        self.machines.pop(machine.node)
        self.fleet.forget(machine.node)

    async def discover(self, *_: Any, **__: Any) -> None:
        """They are known."""

    async def may_use(self, *_: Any) -> bool:
        """None of them sleeps."""
        return True

    async def without_file(self, _: str) -> list[str]:
        return []


class World:
    def __init__(self, limit: int) -> None:
        self.nodes = Nodes()
        config = Config()
        config = replace_limit(config, limit)
        self.scheduler = Scheduler(config, self.nodes, self.attempt)  # type: ignore[arg-type]
        self.asked: dict[asyncio.Task[str], TaskRequest | TextRequest] = {}
        # The sessions of tasks that have been told where to go, and of those that are answered.
        self.trying: set[str | None] = set()
        self.running: set[str | None] = set()
        # What came of each task, with the node that it named.
        self.ended: list[tuple[str | None, str]] = []
        self._count = 0

    # What the scheduler is given

    async def attempt(
        self, task: Task, hive: Machine, turn: Turn, chosen: FleetWorker | None, _: bool
    ) -> None:
        """As an attempt does it: to the chosen worker, or to one that is found or started."""
        session = None if isinstance(task.request, TextRequest) else task.request.session
        self.trying.add(session)
        try:
            await asyncio.sleep(0.01)
            if not hive.is_followed:
                raise ConnectionTimeout(host=hive.node, port=9200, attempts=1)
            worker = hive.workers.get(chosen.row.id) if chosen else None
            worker = worker or self._found(task, hive)
            await first_of(worker.loaded, worker.gone)
            turn.use(hive.node, worker.row())
            await asyncio.sleep(0.01)
            await self._answer(task, hive, turn, worker)
        finally:
            self.trying.discard(session)

    def _found(self, task: Task, hive: Machine) -> Worker:
        fitting = [each for each in hive.workers.values() if each.model == str(task.model)]
        if fitting:
            return max(fitting, key=lambda each: each.free)
        if len(hive.workers) >= MOST_WORKERS:
            about = {"node": hive.node, "device": "cpu", "backend": "cpu"}
            raise VramExhausted(**about, required=2, available=1, total=1, margin=0)
        worker = hive.start(str(task.model), 2, is_loaded=False)
        asyncio.get_running_loop().call_later(LOAD_S, self.load, hive, worker)
        return worker

    async def _answer(self, task: Task, hive: Machine, turn: Turn, worker: Worker) -> None:
        if isinstance(task.request, TextRequest):
            return
        about = {"worker_id": worker.name, "node": hive.node, "log_tail": []}
        gone = WorkerCrashed(**about, tokens=0, max_tokens=1)
        if worker.gone.is_set():
            raise gone
        if worker.free <= 0:
            raise AllSlotsBusy(slots_total=worker.slots, slots_busy=worker.slots, waiting=0)
        worker.ours.add(task.id)
        assert len(worker.ours) + worker.strangers <= worker.slots
        hive.tell(worker)
        turn.accepted()
        self.trying.discard(task.request.session)
        self.running.add(task.request.session)
        try:
            seconds = task.request.temperature  # of its own, as good as any field
            async with asyncio.timeout(seconds):
                await worker.gone.wait()
            raise gone
        except TimeoutError:
            task.tokens = 7
        finally:
            self.running.discard(task.request.session)
            worker.ours.discard(task.id)
            hive.tell(worker)

    # What happens

    def ask(self, key: int, model: int, seconds: float, node: int, text: bool) -> None:
        pinned = NODES[node] if node < len(NODES) else None
        request: TaskRequest | TextRequest
        if text:
            asked = TokenizeRequest("a")
            request = TextRequest(asked=asked, model=MODELS[model], node=pinned)
        else:
            self._count += 1
            name = f"s{self._count}"
            request = TaskRequest(
                prompt="p", model=MODELS[model], node=pinned, temperature=seconds, session=name
            )
        going = asyncio.create_task(self._ask(request, KEYS[key]))
        self.asked[going] = request
        going.add_done_callback(self._end)

    async def _ask(self, request: TaskRequest | TextRequest, caller: Caller) -> str:
        try:
            if isinstance(request, TextRequest):
                with pytest.raises(AssertionError):  # there is no reply here
                    await self.scheduler.ask(request, caller)
                return "done"
            async for _ in self.scheduler.stream(request, caller):
                pass
        except RbeeError as error:
            return error.code
        return "done"

    def _end(self, going: asyncio.Task[str]) -> None:
        request = self.asked.pop(going)
        outcome = "left" if going.cancelled() else going.result()
        self.ended.append((request.node, outcome))

    def leave(self, which: int) -> None:
        if self.asked:
            list(self.asked)[which % len(self.asked)].cancel()

    def load(self, machine: Machine, worker: Worker) -> None:
        worker.loaded.set()
        machine.tell(worker)

    def happens(self, what: str, which: int, more: int) -> None:
        machine = self.nodes.all[NODES[which % len(NODES)]]
        workers = list(machine.workers.values())
        worker = workers[more % len(workers)] if workers else None
        if what == "start" and len(workers) < MOST_WORKERS:
            machine.start(MODELS[more % 2], 1 + more % 3, is_loaded=True)
        elif what == "lose" and machine.node in self.nodes.machines:
            machine.lose()
        elif what == "remove" and machine.node in NODES[1:] and machine.node in self.nodes.machines:
            self.nodes.remove(machine)
        elif what == "follow":
            self.nodes.machines[machine.node] = machine
            machine.follow()
        elif worker is not None and what == "crash":
            machine.end(worker)
        elif worker is not None and what == "stranger" and worker.free > 0:
            worker.strangers += 1
            machine.tell(worker)
        elif worker is not None and what == "unstranger" and worker.strangers:
            worker.strangers -= 1
            machine.tell(worker)

    # What must be so

    async def watch(self) -> None:
        """Nobody waits beside a slot that has long been free."""
        since: float | None = None
        while True:
            since = (since or now()) if self._is_unfair() else None
            assert since is None or now() - since < UNFAIR_S, "a task waits beside a free slot"
            await asyncio.sleep(0.05)

    def _is_unfair(self) -> bool:
        """Whether a task waits that a free slot is there for, and nobody is on the way to it."""
        asked = [each for each in self.asked.values() if isinstance(each, TaskRequest)]
        trying = {each.model for each in asked if each.session in self.trying}
        return any(
            worker.loaded.is_set() and worker.free > 0 and worker.model == request.model
            for request in asked
            if request.session not in self.running and request.model not in trying
            for machine in self.nodes.machines.values()
            if machine.is_followed and request.node in (None, machine.node)
            for worker in machine.workers.values()
        )

    def _workers(self) -> list[Worker]:
        machines = self.nodes.machines.values()
        return [worker for machine in machines for worker in machine.workers.values()]

    async def settle(self) -> None:
        """The strangers leave, and all hives are there: every task ends."""
        for machine in self.nodes.machines.values():
            for worker in machine.workers.values():
                worker.strangers = 0
            machine.follow()
        assert set(self.nodes.fleet.nodes) == set(self.nodes.machines)
        if self.asked:
            _, late = await asyncio.wait(self.asked, timeout=len(self.asked) * LONGEST_S + 60)
            assert not late, f"{len(late)} tasks never end"
        await self.scheduler.wait_until_idle()
        await asyncio.sleep(1)

    def check_all_is_free(self) -> None:
        figures = {
            gauge.name: gauge.value for gauge in self.scheduler.gauges() if isinstance(gauge, Gauge)
        }
        assert (figures["rbee_tasks_running"], figures["rbee_queue_waiting"]) == (0, 0)
        for worker in self._workers():
            known = [
                found
                for node in NODES
                if (found := self.nodes.fleet.worker(node, worker.name)) is not None
            ]
            assert [(each.own, each.others, each.free) for each in known] == [(0, 0, worker.slots)]


def now() -> float:
    return asyncio.get_running_loop().time()


async def first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def replace_limit(config: Config, limit: int) -> Config:
    from msgspec.structs import replace

    return replace(config, queen=replace(config.queen, queue_limit=limit))


small = st.integers(0, 5)
asks = st.tuples(
    st.just("ask"),
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 1),
        st.sampled_from([0.0, 0.02, 0.5, LONGEST_S / 2]),
        st.integers(0, 5),
        st.integers(0, 7).map(lambda drawn: drawn == 0),
    ),
)
leaves = st.tuples(st.just("leave"), small)
changes = st.tuples(
    st.sampled_from(["start", "crash", "lose", "follow", "remove", "stranger", "unstranger"]),
    small,
    small,
)
pauses = st.sampled_from([0.0, 0.0, 0.005, 0.015, 0.06, 0.3, 1.0])
courses = st.lists(st.tuples(st.one_of(asks, leaves, changes), pauses), min_size=20, max_size=60)


@settings(max_examples=histories(200), deadline=None, suppress_health_check=list(HealthCheck))
@given(course=courses, limit=st.sampled_from([0, 2, 100]))
def test_any_course_of_things_ends_with_all_free(course: list[Any], limit: int) -> None:
    async def run() -> None:
        world = World(limit)
        for machine in world.nodes.all.values():
            machine.follow()
        watching = asyncio.create_task(world.watch())
        for (what, *more), pause in course:
            if what == "ask":
                world.ask(*more[0])
            elif what == "leave":
                world.leave(*more)
            else:
                world.happens(what, *more)
            await asyncio.sleep(pause)
            assert not watching.done(), watching.exception()
        await world.settle()
        assert not watching.done(), watching.exception()
        watching.cancel()
        world.check_all_is_free()
        for node, outcome in world.ended:
            assert outcome in OUTCOMES or (node is not None and outcome == NodeNotFound.code)
            assert outcome != (QueueFull.code if limit == 0 else AllSlotsBusy.code)

    simulate(run())
