"""The models of all nodes, from memory."""

from __future__ import annotations

import asyncio

from rbee.contract.errors import ConnectionTimeout
from rbee.contract.models import NodeModelRow, NodeModelRows
from rbee.contract.workers import WorkerGone, WorkerRow
from rbee.queen.nodes.catalog import Catalog, KnownModel, merged
from tests.queen.nodes.conftest import UrlNode
from tests.queen.sshd import until


def row(reference: str, state: str = "ready", at: int | None = 5, node: str = "a") -> NodeModelRow:
    return NodeModelRow(
        id=1,
        provider="hf",
        reference=reference,
        local_path="/m",
        size_bytes=1,
        downloaded_at_unix=at,
        quantization=None,
        sha256=None,
        state=state,  # type: ignore[arg-type]
        node=node,
    )


def worker(reference: str, state: str) -> WorkerRow:
    return WorkerRow("w", "http://a", reference, "cpu", 0, state, None, None, 4, 4)  # type: ignore[arg-type]


def test_each_model_is_there_once_with_the_state_nearest_to_an_answer() -> None:
    rows = [row("m:b"), row("m:b", node="b", at=9), row("m:a", at=None), row("m:c", "partial")]
    assert merged(rows, []) == [
        KnownModel("m:a", "unloaded", 0, nodes=("a",)),
        KnownModel("m:b", "unloaded", 5, nodes=("a", "b")),
    ]
    workers = [
        worker("m:b", "loading"),
        worker("m:b", "idle"),
        worker("m:b", "loading"),
        worker("m:a", "unhealthy"),
        worker("m:d", "loading"),
    ]
    assert merged(rows, workers) == [
        KnownModel("m:a", "unloaded", 0, nodes=("a",)),
        KnownModel("m:b", "loaded", 5, nodes=("a", "b")),
        KnownModel("m:d", "loading", 0),
    ]
    assert merged([], [worker("m:d", "busy")]) == [KnownModel("m:d", "loaded")]


class Nodes:
    """Nodes that answer when the test lets them."""

    def __init__(self) -> None:
        self.rows = [row("m:a")]
        self.asked = 0
        self.answer = asyncio.Event()
        self.error: Exception | None = None

    async def read(self) -> NodeModelRows:
        self.asked += 1
        await self.answer.wait()
        if self.error is not None:
            raise self.error
        return NodeModelRows(self.rows, [])


async def test_a_reader_gets_what_is_known_and_has_it_read_again_meanwhile() -> None:
    nodes = Nodes()
    catalog = Catalog(nodes.read, lambda: [worker("m:w", "idle")])
    assert catalog.known() == catalog.known() == [KnownModel("m:w", "loaded")]
    await asyncio.sleep(0)
    assert nodes.asked == 1
    nodes.answer.set()
    await catalog.read(5)
    assert [model.reference for model in catalog.known()] == ["m:a", "m:w"]
    assert nodes.asked == 1  # it is fresh
    await catalog.close()


async def test_a_node_that_sleeps_is_not_waited_for_longer_than_that() -> None:
    nodes = Nodes()
    catalog = Catalog(nodes.read, list)
    await catalog.read(0.01)
    assert catalog.known() == []
    await catalog.close()


async def test_what_runs_is_known_before_the_first_reader_comes() -> None:
    nodes = Nodes()
    nodes.answer.set()
    catalog = Catalog(nodes.read, list)
    running = Nodes()
    running.answer.set()
    running.rows = [row("m:running")]
    catalog.begin(running.read)
    await asyncio.sleep(0.01)
    assert nodes.asked == 0
    assert catalog.known() == [KnownModel("m:running", "unloaded", 5, nodes=("a",))]
    await catalog.read(5)  # a reader has the rest asked for, and that counts
    assert catalog.known() == [KnownModel("m:a", "unloaded", 5, nodes=("a",))]
    await catalog.close()


async def test_what_is_read_at_the_start_comes_too_late_after_all_nodes() -> None:
    nodes, running = Nodes(), Nodes()
    nodes.answer.set()
    catalog = Catalog(nodes.read, list)
    running.rows = []
    catalog.begin(running.read)
    await catalog.read(5)
    running.answer.set()
    await asyncio.sleep(0.01)
    assert catalog.known() == [KnownModel("m:a", "unloaded", 5, nodes=("a",))]
    await catalog.close()


async def test_what_is_known_outlives_an_error() -> None:
    nodes = Nodes()
    nodes.answer.set()
    catalog = Catalog(nodes.read, list)
    await catalog.read(5)
    for error in (ConnectionTimeout(host="a", port=1, attempts=1), ZeroDivisionError()):
        nodes.error = error
        await catalog.read(5)
    assert catalog.known() == [KnownModel("m:a", "unloaded", 5, nodes=("a",))]
    await catalog.close()


async def test_workers_are_known_as_their_hive_tells_them(url_node: UrlNode) -> None:
    hive, fake = url_node.hive, url_node.fake
    fake.tell(worker("m:a", "loading"))
    await until(lambda: bool(hive.seen_workers))
    fake.tell(worker("m:a", "idle"))
    await until(lambda: hive.seen_workers == [worker("m:a", "idle")])
    fake.tell(WorkerGone("w", "idle for too long", 0, []))
    await until(lambda: not hive.seen_workers)
