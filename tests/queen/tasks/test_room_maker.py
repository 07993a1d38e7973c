"""Ends idle workers of a node for a model, and starts second ones, as was decided."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.config import Config
from rbee.contract.daemons import Ack
from rbee.contract.errors import ModelInUse, NotFound, VramExhausted
from rbee.contract.events import Narration
from rbee.contract.model_ref import parse
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.fleet import Fleet, FleetWorker, Start
from rbee.queen.tasks.decide import Spot
from rbee.queen.tasks.replicas import Replica
from rbee.queen.tasks.room_maker import RoomMaker
from rbee.queen.tasks.wants import Want
from rbee.runtime.narration import Narrator
from tests.queen.nodes.conftest import UrlNode

END, SPAWN = "/v1/workers/shutdown", "/v1/workers/spawn"
MODEL = "hf:o/new/new.gguf"


class Made:
    """What the hive answers when it is asked to end a worker: an error, or nothing."""

    def __init__(self, node: UrlNode) -> None:
        self.node, self.fleet = node, Fleet()
        nodes: Any = SimpleNamespace(hive=lambda _: node.hive, fleet=self.fleet)
        self.maker = RoomMaker(Config(), nodes)
        self.told: list[Narration] = []
        self.answers: list[Exception | None] = []
        node.fake.replies[END] = self._end

    async def _end(self) -> object:
        error = self.answers.pop(0)
        if error is not None:
            raise error
        return Ack("It has ended.")

    async def make_room(self, count: int) -> FleetWorker | None:
        ends = tuple(self.worker(f"w-{number}") for number in range(count))
        say = Narrator(self.told.append, "node").say
        return await self.maker.make_room(Spot("node", None, [], ends), parse(MODEL), say)

    def worker(self, name: str) -> FleetWorker:
        used = time.time() - 12
        place = "http://w", "hf:o/old/old.gguf", "cpu", 0, "idle", used, None, 1, 1
        return FleetWorker("node", WorkerRow(name, *place))  # type: ignore[arg-type]

    def counted(self) -> list[float]:
        return [gauge.value for gauge in self.maker.gauges()]


@pytest.fixture
async def made(url_node: UrlNode) -> Made:
    await url_node.hive.discover()
    return Made(url_node)


async def test_every_worker_ends_and_the_reader_is_told(made: Made) -> None:
    made.answers = [None, None]
    assert await made.make_room(2) is None
    assert [each.text for each in made.told] == [
        f"making room: ending w-{number} (hf:o/old/old.gguf) on node, idle for 12 s, for {MODEL}"
        for number in (0, 1)
    ]
    assert made.counted() == [1, 2, 0]


async def test_nothing_is_done_where_nothing_must_be(made: Made) -> None:
    assert await made.make_room(0) is None
    assert made.counted() == [0, 0, 0]
    assert END not in made.node.fake.asked


async def test_one_that_has_ended_by_itself_is_no_trouble(made: Made) -> None:
    made.answers = [NotFound.of("worker_id", "a worker", "There is none", "w-0"), None]
    assert await made.make_room(2) is None
    assert made.counted() == [1, 1, 0]


async def test_it_stops_at_one_that_is_used_after_all(made: Made) -> None:
    made.answers = [ModelInUse(model="m", workers=["w-0"])]
    used = await made.make_room(2)
    assert used is not None
    assert used.row.id == "w-0"
    assert made.counted() == [0, 0, 0]


def replica() -> Replica:
    start = Start("node", "cuda", 1, "hf:o/new", 10)
    return Replica(Want(parse("hf:o/new"), context=512), MODEL, start)


async def until_over(made: Made, one: Replica) -> None:
    made.fleet.begin(one.start)
    made.maker.replicate(one)
    async with asyncio.timeout(10):
        while made.fleet.starts:  # noqa: ASYNC110  it is over when the fleet is told
            await asyncio.sleep(0.01)


async def test_a_second_worker_is_started_as_was_decided(made: Made) -> None:
    row = WorkerRow("w-9", "http://w", MODEL, "cuda", 1, "idle", None, None, 1, 1)
    made.node.fake.streams[SPAWN] = [row]
    await until_over(made, replica())
    [asked] = made.node.fake.messages
    wanted = {"model": MODEL, "backend": "cuda", "device": 1, "context": 512}
    assert {name: asked[name] for name in wanted} == wanted  # type: ignore[index]
    assert made.counted() == [0, 0, 1]
    assert made.fleet.failures == {}


async def test_one_that_does_not_start_is_remembered(made: Made) -> None:
    async def refuse() -> object:
        raise VramExhausted(node="node", device="cuda:1", required=2, available=1)

    made.node.fake.replies[SPAWN] = refuse
    await until_over(made, replica())
    assert list(made.fleet.failures) == [("node", "hf:o/new")]
    assert made.counted() == [0, 0, 0]
