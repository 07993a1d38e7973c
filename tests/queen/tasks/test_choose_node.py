"""What each node says of itself, for the choice among them; none is waited for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from rbee.contract.config import Config, TimesSection
from rbee.contract.errors import ModelNotFound
from rbee.contract.model_ref import parse
from rbee.contract.models import Resolved
from rbee.contract.nodes import DeviceMemory, NodeInfo
from rbee.contract.registry import NodeRow
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.registry import Registry
from rbee.queen.tasks.choose_node import choose_node
from rbee.queen.tasks.placement import Verdict
from rbee.queen.tasks.queue import Queue
from rbee.queen.tasks.task import Task
from rbee.runtime import paths
from rbee.runtime.broadcast import Broadcast
from tests.queen.nodes.conftest import Start
from tests.queen.nodes.fake_hive import FakeHive

FILE = "hf:o/r/m.gguf"
IDLE = WorkerRow("w", "http://w", FILE, "cpu", 0, "idle", None, None, 4, 4)
GB = 1_000_000_000


@pytest.fixture
async def nodes(tmp_path: Path, home: Path) -> AsyncIterator[Nodes]:
    (home / "key").write_text("key-of-the-node")
    async with AsyncExitStack() as stack:
        registry = Registry(tmp_path / "b.db", dict)
        await registry.open()
        stack.push_async_callback(registry.close)
        config = Config(times=TimesSection(connect_s=1))
        made = Nodes(config, "key", Broadcast(), registry, LocalHive(config))
        stack.push_async_callback(made.close)
        yield made


async def know(nodes: Nodes, name: str, hive: FakeHive) -> None:
    key = str(paths.home() / "key")
    await nodes.registry.put(NodeRow(node_name=name, hive_url=hive.url, api_key_file=key))


async def chosen(
    nodes: Nodes,
    model: str = "hf:o/r",
    backend: str | None = None,
    ask_within_s: float = 2,
) -> dict[str, Verdict]:
    task = Task(TaskRequest(prompt="p", backend=backend), parse(model), Queue(0))
    async with asyncio.timeout(8):
        verdicts = await choose_node(nodes, task, ask_within_s)
    return {verdict.node: verdict for verdict in verdicts}


async def resolved() -> object:
    return Resolved(FILE)


async def unknown() -> object:
    raise ModelNotFound(model="m", near=[])


async def test_the_node_whose_worker_is_idle_is_the_first(nodes: Nodes, fake_hive: Start) -> None:
    idle, other = await fake_hive(), await fake_hive()
    idle.workers = [IDLE]
    idle.replies["/v1/models/resolve"] = resolved
    other.replies["/v1/models/resolve"] = unknown
    await know(nodes, "z", idle)
    await know(nodes, "a", other)
    await nodes.registry.put(
        NodeRow(
            node_name="off",
            ssh_host="127.0.0.1",
            hive_port=1,
            status="unreachable",
            last_error="off",
        )
    )
    verdicts = await chosen(nodes)
    assert list(verdicts) == ["z", "a", "localhost", "off"]
    assert verdicts["z"].reasons == ["an idle worker holds the model", "its hive runs"]
    assert verdicts["a"].reasons == ["its hive runs"]
    assert verdicts["off"] == Verdict("off", False, ["it did not answer: off"])


async def test_a_file_of_its_own_that_a_node_lacks_is_told(nodes: Nodes, fake_hive: Start) -> None:
    hive = await fake_hive()
    hive.replies["/v1/models/resolve"] = unknown
    await know(nodes, "a", hive)
    assert not (await chosen(nodes, "file:/m.gguf"))["a"].can
    assert (await chosen(nodes, "hf:o/r"))["a"].can


async def test_the_device_with_the_most_memory_counts(nodes: Nodes, fake_hive: Start) -> None:
    hive = await fake_hive()
    memory = [
        DeviceMemory("cuda", turn, "x", 9 * GB, free * GB) for turn, free in enumerate((1, 3, 2))
    ]

    async def node() -> object:
        return NodeInfo(["cuda", "cpu"], {"cuda": 3}, memory, 2, 1, 3, "running", None)

    hive.replies["/v1/node"] = node
    await know(nodes, "a", hive)
    assert (await chosen(nodes))["a"].reasons == ["its hive runs", "3000 MB are free"]


async def test_a_hive_that_does_not_answer_is_not_waited_for(
    nodes: Nodes, fake_hive: Start
) -> None:
    hive = await fake_hive()
    await know(nodes, "a", hive)
    await nodes.discover()

    async def never() -> object:
        return await asyncio.Event().wait()

    hive.replies["/v1/node"] = never
    began = time.monotonic()
    assert (await chosen(nodes, ask_within_s=0.2))["a"] == Verdict(
        "a", True, ["its hive is to be started"]
    )
    assert time.monotonic() - began < 2


async def test_what_is_stored_of_a_node_that_is_down_counts(nodes: Nodes) -> None:
    await nodes.registry.put(
        NodeRow(node_name="a", ssh_host="127.0.0.1", hive_port=1, backends=["cpu"])
    )
    verdicts = await chosen(nodes, backend="cuda")
    assert verdicts["a"] == Verdict("a", False, ["it has no cuda, only cpu"])


async def test_who_does_not_answer_a_look_is_not_chosen(nodes: Nodes) -> None:
    nodes.registry._rows["a"] = NodeRow(node_name="a", hive_url="http://127.0.0.1:1")
    verdict = (await chosen(nodes))["a"]
    assert not verdict.can
    told = "a does not answer at 127.0.0.1:1: refused."
    assert verdict.reasons == [f"it did not answer: {told}"]
    assert nodes.registry.find("a").status == "unreachable"
