"""What a person sees of the tasks: who waits for what, and what was decided."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from rbee.contract.config import Config, QueenSection
from rbee.contract.errors import QueueFull, RequestCanceled
from rbee.contract.events import Accepted, Queued
from rbee.contract.queue import Decision, TaskRow
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.fleet import FleetWorker
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.registry import Registry
from rbee.queen.tasks.decide import Spot
from rbee.queen.tasks.decisions import DecisionLog
from rbee.queen.tasks.dispatcher import Turn
from rbee.queen.tasks.scheduler import Scheduler
from rbee.queen.tasks.task import Task
from rbee.runtime import gauges
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.concurrency import stop
from rbee.runtime.keyring import OPERATOR, Caller

FILE = "hf:o/r/m.gguf"
WORKER = WorkerRow("w", "http://w", FILE, "cpu", 0, "idle", None, None, 2, 2)
LAPTOP, PHONE = Caller("laptop", "use", (FILE,)), Caller("phone", "use", (FILE,))


class Lab:
    """A queen of one machine, with a worker of two slots. A task that has one keeps it until it is
    canceled, or `freed`."""

    def __init__(self, nodes: Nodes, limit: int) -> None:
        self.nodes = nodes
        self.freed = asyncio.Event()
        self.scheduler = Scheduler(
            Config(queen=QueenSection(queue_limit=limit)), nodes, self.attempt
        )
        self.told: dict[str, list[Queued]] = {}
        self.served: list[str] = []
        self.readers: list[asyncio.Task[None]] = []
        nodes.fleet.connected("localhost", 0)
        nodes.fleet.worker_told("localhost", WORKER, 0)

    async def come(self, caller: Caller = OPERATOR) -> str:
        """A task, by its id."""
        known: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.readers.append(asyncio.create_task(self._read(caller, known)))
        return await known

    async def _read(self, caller: Caller, known: asyncio.Future[str]) -> None:
        asked = TaskRequest(prompt="p", model=FILE)
        async with aclosing(self.scheduler.stream(asked, caller)) as events:
            async for event in events:
                if isinstance(event, Accepted):
                    known.set_result(event.request_id)
                elif isinstance(event, Queued):
                    self.told.setdefault(known.result(), []).append(event)

    async def attempt(
        self, task: Task, _: Hive, turn: Turn, worker: FleetWorker | None, __: bool
    ) -> None:
        assert worker is not None
        turn.accepted()
        self.served.append(task.id)
        task.tokens = 100
        await self.freed.wait()

    def metrics(self) -> dict[str, float]:
        lines = gauges.text(self.scheduler.gauges()).splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    registry = Registry(tmp_path / "b.db", dict)
    await registry.open()
    nodes = Nodes(Config(), "key", Broadcast(), registry, LocalHive(Config()))
    lab = Lab(nodes, limit=2000)
    yield lab
    for reader in lab.readers:
        await stop(reader)
    await nodes.close()
    await registry.close()


def shown(rows: list[TaskRow]) -> list[tuple[str, str, str, str | None, str | None, int | None]]:
    return [(r.request_id, r.state, r.key, r.node, r.worker_id, r.position) for r in rows]


async def test_who_runs_and_who_waits_is_listed_the_next_first(lab: Lab) -> None:
    one, two, three, four = [await lab.come(who) for who in (LAPTOP, OPERATOR, LAPTOP, PHONE)]
    await settled()
    rows = lab.scheduler.rows()
    assert shown(rows) == [
        (one, "running", "laptop", "localhost", "w", None),
        (two, "running", "operator", "localhost", "w", None),
        (four, "waiting", "phone", None, None, 1),  # it has used nothing yet
        (three, "waiting", "laptop", None, None, 2),
    ]
    assert [row.reasons for row in rows[2:]] == [["all 2 slots are busy"]] * 2
    assert {row.model for row in rows} == {FILE}
    assert [row.request_id for row in lab.scheduler.rows(LAPTOP)] == [one, three]


async def test_one_that_no_worker_has_accepted_yet_starts(lab: Lab) -> None:
    lab.nodes.fleet.worker_gone("localhost", "w")

    async def hold(task: Task, _: Hive, turn: Turn, *__: object) -> None:
        await lab.freed.wait()

    lab.scheduler = Scheduler(Config(), lab.nodes, hold)
    one = await lab.come()
    await settled()
    assert shown(lab.scheduler.rows()) == [(one, "starting", "operator", "localhost", None, None)]


async def test_decisions_are_remembered_with_their_reasons(lab: Lab) -> None:
    ids = [await lab.come(LAPTOP) for _ in range(3)]
    await settled()
    lab.scheduler.cancel(ids[0])
    await settled()
    found = lab.scheduler.decisions()
    assert [(each.request_id, each.outcome, each.node, each.worker_id) for each in found] == [
        (ids[0], "placed", "localhost", "w"),
        (ids[1], "placed", "localhost", "w"),
        (ids[2], "waits", None, None),
        (ids[2], "placed", "localhost", "w"),
    ]
    assert found[2].reasons == ["all 2 slots are busy"]
    assert {(each.key, each.model) for each in found} == {("laptop", FILE)}
    metrics = lab.metrics()
    assert metrics['rbee_decisions_total{outcome="placed"}'] == 3
    assert metrics['rbee_decisions_total{outcome="waits"}'] == 1
    assert metrics['rbee_decisions_total{outcome="nowhere"}'] == 0
    assert metrics["rbee_queue_seconds_count"] == 3


async def test_one_too_many_is_refused_and_that_is_remembered(lab: Lab) -> None:
    lab.scheduler = Scheduler(Config(queen=QueenSection(queue_limit=1)), lab.nodes, lab.attempt)
    ids = [await lab.come() for _ in range(4)]
    with pytest.raises(QueueFull):
        await lab.readers[-1]
    last = lab.scheduler.decisions()[-1]
    assert (last.request_id, last.outcome) == (ids[-1], "refused")
    assert last.reasons == ["all 2 slots are busy", "1 of 1 wait"]


async def test_a_thousand_are_canceled_while_they_wait_and_the_rest_have_their_places(
    lab: Lab,
) -> None:
    callers = [Caller(f"key{number}", "use", (FILE,)) for number in range(7)]
    ids = [await lab.come(callers[number % 7]) for number in range(1010)]
    await settled()
    assert lab.metrics()["rbee_queue_waiting"] == 1008
    kept = [row.request_id for row in lab.scheduler.rows() if row.state == "waiting"][5:1008:130]
    gone = [each for each in ids[2:] if each not in kept]
    assert len(gone) == 1000
    for number, each in enumerate([*gone[::2], *gone[1::2]]):
        lab.scheduler.cancel(each)
        if number % 100 == 0:
            await settled()
    canceled = [reader for each, reader in zip(ids, lab.readers, strict=True) if each in gone]
    ended = await asyncio.wait_for(asyncio.gather(*canceled, return_exceptions=True), 20)
    assert {type(each) for each in ended} == {RequestCanceled}
    await settled()
    waiting = [row for row in lab.scheduler.rows() if row.state == "waiting"]
    assert sorted(row.request_id for row in waiting) == sorted(kept)
    assert [row.position for row in waiting] == list(range(1, 9))
    told = [lab.told[row.request_id][-1].position for row in waiting]
    assert told == list(range(1, 9))
    assert lab.metrics()["rbee_queue_waiting"] == 8
    lab.freed.set()
    rest = [reader for each, reader in zip(ids, lab.readers, strict=True) if each not in gone]
    await asyncio.wait_for(asyncio.gather(*rest), 20)
    assert Counter(lab.served) == Counter([*ids[:2], *kept])
    [worker] = lab.nodes.fleet.holding(FILE)
    assert (worker.own, lab.scheduler.rows(), lab.metrics()["rbee_queue_waiting"]) == (0, [], 0)


def test_the_last_decisions_are_kept_and_all_are_counted() -> None:
    log = DecisionLog(kept=3, clock=lambda: 7.5)
    for number in range(5):
        log.add(f"r{number}", "laptop", FILE, "nowhere", ["b can't: it is off"])
    log.add("r5", "laptop", FILE, "placed", Spot("b", None, ["its hive runs"]))
    assert [each.request_id for each in log.last] == ["r3", "r4", "r5"]
    assert log.last[-1] == Decision(
        at_unix=7.5,
        request_id="r5",
        key="laptop",
        model=FILE,
        outcome="placed",
        node="b",
        reasons=["its hive runs"],
    )
    assert 'rbee_decisions_total{outcome="nowhere"} 5.0' in gauges.text(log.gauges())


def test_waits_are_counted_in_buckets() -> None:
    log = DecisionLog()
    for seconds in (0.1, 0.2, 4, 400):
        log.waited(seconds)
    text = gauges.text(log.gauges())
    found = [line.split(" ") for line in text.splitlines() if line.startswith("rbee_queue_seconds")]
    assert {name.removeprefix("rbee_queue_seconds"): float(value) for name, value in found} == {
        '_bucket{le="0.1"}': 1,
        '_bucket{le="1.0"}': 2,
        '_bucket{le="5.0"}': 3,
        '_bucket{le="15.0"}': 3,
        '_bucket{le="60.0"}': 3,
        '_bucket{le="300.0"}': 3,
        '_bucket{le="+Inf"}': 4,
        "_count": 4,
        "_sum": pytest.approx(404.3),
    }
