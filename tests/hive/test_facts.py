"""What a hive tells of its node by itself."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from rbee.contract.events import Event
from rbee.contract.nodes import DeviceMemory, NodeFacts, RunningDownload, Usable
from rbee.contract.workers import WorkerGone, WorkerRow
from rbee.hive.facts import Facts
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.concurrency import stop

ROW = WorkerRow("w", "u", "m", "cpu", 0, "idle", None, None, 1, 1)


class Node:
    """Hardware and models; `asked` are the ages that the memory of the devices might have."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.inventory = SimpleNamespace(rows=self._rows)
        self.running: list[RunningDownload] = []
        self.downloads = SimpleNamespace(running=lambda: list(self.running), on_change=None)

    async def usable(self) -> Usable:
        return Usable(["cpu"], {"cpu": 1})

    async def memory(self, at_most_old_s: float) -> list[DeviceMemory]:
        self.asked.append(at_most_old_s)
        return [DeviceMemory("cpu", 0, "RAM", 100, 50)]

    async def _rows(self) -> list[Any]:
        return []


async def looked(node: Node, count: int) -> None:
    async with asyncio.timeout(5):
        while len(node.asked) < count:  # noqa: ASYNC110
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
    assert [type(each) for each in told].count(NodeFacts) == 1  # nothing has changed


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
