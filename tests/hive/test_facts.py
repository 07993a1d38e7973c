"""What a hive tells of its node by itself."""

from __future__ import annotations

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from rbee.contract.events import Event
from rbee.contract.nodes import DeviceMemory, NodeFacts, RunningDownload, Usable
from rbee.contract.workers import WorkerGone, WorkerRow
from rbee.hive.facts import Facts
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.concurrency import stop

ROW = WorkerRow("w", "u", "m", "cpu", 0, "idle", None, None, 1, 1)


class Node:
    """Hardware and models; `asked` are the ages that the memory of the devices might have, `now` is
    the time of its clock. The card is only looked at if it was last seen before `look_after`."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.now = self.cards_seen_at = self.look_after = 0.0
        self.inventory = SimpleNamespace(rows=self._rows)
        self.running: list[RunningDownload] = []
        self.downloads = SimpleNamespace(running=lambda: list(self.running), on_change=None)
        self.free = 50

    async def usable(self) -> Usable:
        return Usable(["cpu"], {"cpu": 1})

    async def memory(self, at_most_old_s: float) -> list[DeviceMemory]:
        self.asked.append(at_most_old_s)
        if self.cards_seen_at < self.look_after:
            self.cards_seen_at = self.now
        return [
            DeviceMemory("cuda", 0, "card", 100, 50),
            DeviceMemory("cpu", 0, "RAM", 100, self.free),
        ]

    async def _rows(self) -> list[Any]:
        return []


async def looked(node: Node, count: int) -> None:
    async with asyncio.timeout(5):
        while len(node.asked) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def heard(told: list[Event], count: int) -> None:
    async with asyncio.timeout(5):
        while sum(isinstance(each, NodeFacts) for each in told) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_news_of_workers_are_a_reason_to_look_but_not_the_end_of_the_hive() -> None:
    node, events, told = Node(), Broadcast[Event](), []
    facts = Facts(node, node, events, look_every_s=60)  # type: ignore[arg-type]
    with events.forward(told.append):
        watching = asyncio.create_task(facts.watch())
        await asyncio.sleep(0)
        facts.want()
        await looked(node, 1)
        events.send(ROW)
        await looked(node, 2)
        events.send(ROW)  # it was loaded before
        facts.close()
        events.send(WorkerGone("w", "the hive ends", 0, []))
        await asyncio.sleep(0.05)
        await stop(watching)
    assert len(node.asked) == 2
    assert all(age > 0 for age in node.asked)
    assert [type(each) for each in told].count(NodeFacts) == 2  # the worker's memory is counted


async def test_whose_memory_has_been_counted_is_told_with_it() -> None:
    """That of a card may have been seen before a worker came, or went; the machine's own is new."""
    node, events, told = Node(), Broadcast[Event](), []
    facts = Facts(node, node, events, look_every_s=60, clock=lambda: node.now)  # type: ignore[arg-type]

    async def counted(now: float, event: Event | None, look_after: float = 0.0) -> list[str]:
        node.now, node.look_after = now, look_after
        looks = len(node.asked)
        if event is None:
            facts.want()
        else:
            events.send(event)
        await looked(node, looks + 1)
        await asyncio.sleep(0.01)
        assert facts.told is not None
        return sorted(facts.told.counted)

    def row(name: str, backend: str) -> WorkerRow:
        return replace(ROW, id=name, backend=backend)

    with events.forward(told.append):
        watching = asyncio.create_task(facts.watch())
        await asyncio.sleep(0)
        assert await counted(10, None, look_after=10) == []
        assert await counted(11, row("on-cpu", "cpu")) == []  # it was seen in that moment
        assert await counted(12, row("on-card", "cuda")) == ["on-cpu"]
        assert await counted(13, None, look_after=13) == ["on-card", "on-cpu"]
        assert await counted(14, WorkerGone("on-cpu", "", 0, [])) == ["on-card"]
        assert await counted(15, WorkerGone("on-card", "", 0, [])) == ["on-card"]
        assert await counted(16, None, look_after=16) == []
        await stop(watching)
    lists = [each.counted for each in told if isinstance(each, NodeFacts)]
    assert [len(each) for each in lists] == [0, 1, 2, 1, 0]


async def test_memory_that_is_not_counted_yet_is_looked_at_sooner() -> None:
    node, events = Node(), Broadcast[Event]()
    facts = Facts(node, node, events, look_every_s=0.02, clock=lambda: node.now)  # type: ignore[arg-type]

    async def next_ages() -> list[float]:
        count = len(node.asked)
        await looked(node, count + 4)
        return node.asked[count + 2 : count + 4]

    with events.listen():
        watching = asyncio.create_task(facts.watch())
        assert await next_ages() == [60, 60]
        node.now = 1
        events.send(replace(ROW, backend="cuda"))
        assert await next_ages() == [10, 10]
        node.now = node.look_after = 2
        assert await next_ages() == [60, 60]
        node.now = 3
        events.send(WorkerGone("w", "", 0, []))
        assert await next_ages() == [10, 10]
        node.now = node.look_after = 4
        assert await next_ages() == [60, 60]
        await stop(watching)


async def test_a_download_is_told_when_it_begins_while_it_runs_and_when_it_ends() -> None:
    node, events, told = Node(), Broadcast[Event](), []
    facts = Facts(node, node, events, look_every_s=0.05)  # type: ignore[arg-type]

    def downloads() -> list[list[RunningDownload]]:
        return [each.downloads for each in told if isinstance(each, NodeFacts)]

    half, most = RunningDownload("hf:o/r/m.gguf", 5, 10), RunningDownload("hf:o/r/m.gguf", 9, 10)
    with events.listen(), events.forward(told.append):
        watching = asyncio.create_task(facts.watch())
        await asyncio.sleep(0)
        for number, running in enumerate(([], [half], [most], []), start=1):
            node.running = running
            if number != 3:  # on its way, nobody says so
                node.downloads.on_change()
            async with asyncio.timeout(5):
                while len(downloads()) < number:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await stop(watching)
    assert downloads() == [[], [half], [most], []]


async def test_a_change_of_the_memory_or_the_disk_is_told_unless_it_is_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node, events = Node(), Broadcast[Event]()
    told: list[Event] = []
    facts = Facts(node, node, events, look_every_s=60)  # type: ignore[arg-type]
    with events.forward(told.append):
        watching = asyncio.create_task(facts.watch())
        for looks, (free, disk) in enumerate([(50, 1000), (52, 1020), (53, 980), (50, 979)], 1):
            node.free = free
            monkeypatch.setattr("rbee.hive.facts.disk_free_bytes", partial(int, disk))
            facts.want()
            await looked(node, looks)
        await heard(told, 3)
        await stop(watching)
    found = [each for each in told if isinstance(each, NodeFacts)]
    pairs = [(each.memory[-1].memory_free_bytes, each.disk_free_bytes) for each in found]
    assert pairs == [(50, 1000), (53, 980), (50, 979)]


async def test_a_disk_that_fills_up_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    node, events = Node(), Broadcast[Event]()
    told: list[Event] = []
    facts = Facts(node, node, events, look_every_s=60)  # type: ignore[arg-type]
    with events.forward(told.append):
        watching = asyncio.create_task(facts.watch())
        for looks, free in enumerate((1000, 970, 0), 1):
            monkeypatch.setattr("rbee.hive.facts.disk_free_bytes", partial(int, free))
            facts.want()
            await looked(node, looks)
        await heard(told, 3)
        await stop(watching)
    assert [each.disk_free_bytes for each in told if isinstance(each, NodeFacts)] == [1000, 970, 0]


async def test_the_memory_that_somebody_waits_for_is_asked_for_again() -> None:
    node, events = Node(), Broadcast[Event]()
    facts = Facts(node, node, events, look_every_s=60)  # type: ignore[arg-type]
    watching = asyncio.create_task(facts.watch())
    facts.want(memory_old_s=0.0)
    facts.want()
    await looked(node, 1)
    facts.want()
    await looked(node, 2)
    await stop(watching)
    assert node.asked[0] == 0 < node.asked[1]
