"""A stream of events that breaks: what was told meanwhile is not lost, what is known is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rbee.contract.config import Config, TimesSection
from rbee.contract.errors import ConnectionTimeout
from rbee.contract.events import Event
from rbee.contract.nodes import NodeFacts
from rbee.contract.registry import NodeRow
from rbee.contract.workers import WorkerGone, WorkerRow
from rbee.queen.nodes.fleet import Fleet, FleetNode
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import host_of
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.journal import Journal
from tests.queen.conftest import NAME
from tests.queen.sshd import until

from .conftest import Start
from .fake_hive import FakeHive

FACTS = NodeFacts(["cpu"], {"cpu": 1}, [], [], 7)
ONE, TWO = (
    WorkerRow(name, "http://w", "hf:o/r/m.gguf", "cpu", 0, "idle", None, None, 1, 1)
    for name in ("one", "two")
)


class Node:
    """A node whose hive is followed; `told` is what the queen's listeners hear."""

    def __init__(self, fake: FakeHive, key: Path) -> None:
        self.fake, self.told = fake, Broadcast[Event]()
        self.fleet = Fleet()
        config = Config(times=TimesSection(connect_s=1))
        row = NodeRow(node_name=NAME, hive_url=fake.url, api_key_file=str(key))
        self.hive = Hive(host_of(row, config), config, self.told, fleet=self.fleet)

    @property
    def known(self) -> FleetNode:
        return self.fleet.nodes[NAME]

    @property
    def workers(self) -> list[str]:
        return sorted(self.known.workers)

    async def broken(self) -> None:
        """Its stream breaks, and what is told then is told while nobody reads."""
        self.fake.drop()
        await until(lambda: self.fake.listening == 0)


@pytest.fixture
async def node(fake_hive: Start, home: Path) -> AsyncIterator[Node]:
    key = home / "key"
    key.write_text("key-of-the-node")
    fake = await fake_hive()
    fake.workers, fake.facts = [ONE], FACTS
    node = Node(fake, key)
    assert await node.hive.discover()
    yield node
    await node.hive.close()


async def test_a_hive_that_is_found_is_known_with_its_workers_and_facts(node: Node) -> None:
    assert node.known.is_up
    assert (node.workers, node.known.facts) == (["one"], FACTS)


async def test_what_was_told_while_the_stream_was_broken_is_told_later(node: Node) -> None:
    since, worker = node.known.since, node.known.workers["one"]
    gone = WorkerGone("one", "it was killed", -9, [])
    with node.told.listen() as coming:
        await node.broken()
        node.fake.tell(TWO)
        node.fake.tell(gone)
        assert node.known.workers["one"] is worker  # what is known is kept meanwhile
        await until(lambda: node.workers == ["two"])
        async with asyncio.timeout(5):
            assert [await anext(coming) for _ in range(2)] == [TWO, gone]
    assert node.known.since == since
    assert node.known.facts == FACTS
    assert await node.hive.worker_exit("one") == gone
    assert [bool(last_id) for last_id in node.fake.resumed] == [False, True]


async def test_a_worker_may_compute_while_its_hive_lists_it(node: Node) -> None:
    assert node.hive.may_have("one")
    assert not node.hive.may_have("two")


async def test_a_hive_that_has_ended_has_no_worker(node: Node) -> None:
    asking = asyncio.create_task(node.hive.worker_exit("one"))
    await node.fake.close()
    async with asyncio.timeout(2):  # sooner than a hive that is there would be waited for
        assert await asking is None
    assert not node.hive.may_have("one")


async def test_out_of_reach_says_nothing_of_a_worker(node: Node) -> None:
    async def silent() -> object:
        raise ConnectionTimeout(host="attic", port=1, attempts=1)

    node.fake.replies["/v1/events"] = silent
    node.fake.drop()
    await until(lambda: not node.hive.is_running)
    assert node.hive.may_have("one")


async def test_a_hive_that_has_started_again_is_read_anew(node: Node) -> None:
    node.fake.events, node.fake.workers, node.fake.facts = Journal(), [TWO], None
    await node.broken()
    await until(lambda: node.workers == ["two"])
    assert node.known.facts is None


async def test_a_number_that_jumps_is_a_reason_to_read_all_anew(node: Node) -> None:
    node.fake.tell(TWO)
    await until(lambda: node.workers == ["one", "two"])
    node.fake.workers = [TWO]
    node.fake.lost = [lost := WorkerGone("one", "it ended", 0, [])]
    node.fake.tell(lost)
    node.fake.tell(TWO)
    await until(lambda: node.workers == ["two"])
    assert node.fake.resumed[-1] == ""
    assert node.hive.is_running
