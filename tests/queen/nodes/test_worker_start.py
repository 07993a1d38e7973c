"""A worker of a node on its way: told as it goes on, and why it ended if it did."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest

from rbee.contract.errors import (
    ConnectionTimeout,
    LoadingTimeout,
    ModelCorrupt,
    PortBlocked,
    RbeeError,
    StreamSilent,
    VramExhausted,
    WorkerCrashed,
)
from rbee.contract.events import Event, Loading, Narration
from rbee.contract.models import DownloadReply
from rbee.contract.workers import SpawnRequest, WorkerGone, WorkerRow
from rbee.queen.nodes.worker_start import WorkerStart, crashed, why_lost
from rbee.runtime.event_queue import EventQueue

from .conftest import UrlNode

SPAWN = "/v1/workers/spawn"
MODEL = "hf:o/r/m.gguf"
STARTING = Narration("rbee-hive", "worker startup: starting w-1", "c-1", "🚀")
LOADED = Narration("model-loader", "it is loaded", "c-1", "✅")
LAYERS = Loading("loading_to_vram", 3, 9, 1.5)
READY = Loading("ready")


class Start:
    """A start on the node, whose worker's HTTP is the fake hive's too."""

    def __init__(self, node: UrlNode, model: str = MODEL) -> None:
        self.node, self.events = node, EventQueue()
        self.start = WorkerStart(SpawnRequest(model), node.hive, self.events)

    def row(self, state: str = "loading", url: str = "") -> WorkerRow:
        url = url or self.node.fake.url
        return WorkerRow("w-1", url, MODEL, "cpu", 0, state, None, None, 4, 4)  # type: ignore[arg-type]

    async def spawn(self, *told: Event) -> list[WorkerRow]:
        self.node.fake.streams[SPAWN] = list(told)
        self.node.fake.streams["/v1/loading/progress"] = [READY]
        async with asyncio.timeout(15), contextlib.aclosing(self.start.spawn()) as rows:
            return [row async for row in rows]

    async def fails(self, *told: Event) -> RbeeError:
        with pytest.raises(RbeeError) as caught:
            await self.spawn(*told)
        return caught.value

    async def put(self) -> list[object]:
        self.events.close()
        return [
            event.text if isinstance(event, Narration) else event
            async for event in self.events.read()
        ]


@pytest.fixture
def start(url_node: UrlNode) -> Start:
    return Start(url_node)


async def test_a_worker_is_known_when_it_listens_and_again_when_it_is_loaded(start: Start) -> None:
    listens, loaded = start.row(), start.row("idle")
    told = STARTING, listens, LAYERS, LOADED, READY, loaded
    assert await start.spawn(*told) == [listens, loaded]
    assert start.start.worker_id == "w-1"
    assert await start.put() == [
        STARTING.text,
        "worker health: waiting until w-1 is ready",
        LAYERS,
        LOADED.text,
        READY,
    ]
    assert start.node.fake.messages[0] == {
        "model": MODEL,
        "backend": None,
        "device": None,
        "slots": None,
        "context": None,
        "force": False,
        "end_with_reader": False,
    }


async def test_what_the_hive_refuses_is_raised_under_the_nodes_name(start: Start) -> None:
    refusal = VramExhausted(node="its-own-name", device="cpu", required=2, available=1)
    error = await start.fails(STARTING, refusal.envelope())
    assert isinstance(error, VramExhausted)
    assert error.details["node"] == "workstation"
    assert start.start.worker_id is None
    assert await start.put() == [STARTING.text]


async def test_a_worker_that_ends_before_it_is_ready_has_crashed(start: Start) -> None:
    gone = WorkerGone("w-1", "it was ended by signal 9", -9, ["last words"])
    error = await start.fails(start.row(), LAYERS, gone)
    assert isinstance(error, WorkerCrashed)
    assert error.message == (
        "The worker w-1 on workstation ended before it was ready: it was ended by signal 9."
    )
    assert error.details["log_tail"] == ["last words"]


async def test_a_failure_that_the_worker_named_is_raised(start: Start) -> None:
    cause = ModelCorrupt(file="/m.gguf", reason="it is cut off")
    body = msgspec.to_builtins(cause.envelope().error)
    error = await start.fails(start.row(), WorkerGone("w-1", "it ended", 1, [], body))
    assert isinstance(error, ModelCorrupt)
    assert error.details["model"] == MODEL


async def test_a_load_that_stands_still_names_the_last_layer(start: Start) -> None:
    gone = WorkerGone("w-1", "loading made no progress for 2 s", -9, [], None, True)
    error = await start.fails(start.row(), LAYERS, gone)
    assert isinstance(error, LoadingTimeout)
    assert error.details == {
        "node": "workstation",
        "state": "loading",
        "layers_loaded": 3,
        "layers_total": 9,
    }


async def test_a_hive_that_is_lost_before_there_is_a_worker_is_asked_again(start: Start) -> None:
    start.node.fake.breaks = True
    assert isinstance(await start.fails(STARTING), ConnectionTimeout)


async def test_a_stream_that_merely_ends_is_not_a_worker(start: Start) -> None:
    error = await start.fails(STARTING)
    assert error.code == "STREAM_TRUNCATED"


async def test_a_stream_that_ends_in_the_load_is_not_a_loaded_worker(start: Start) -> None:
    assert isinstance(await start.fails(start.row(), LAYERS), WorkerCrashed)


async def test_a_hive_that_is_lost_with_its_worker_is_a_crash(start: Start) -> None:
    start.node.fake.breaks = True
    error = await start.fails(start.row(), LAYERS)
    assert isinstance(error, WorkerCrashed)
    assert error.message.endswith("was lost before it was ready: its connection broke.")


async def test_a_worker_that_is_only_silent_was_lost(start: Start) -> None:
    hive, gone = start.node.hive, WorkerGone("w-1", "it was ended by signal 9", -9, [])
    when, silent = "after 1 of 9 tokens", why_lost(StreamSilent(tokens=0), hive)
    error = crashed(hive, "w-1", when, silent, None)
    told = f"was lost after 1 of 9 tokens: it was silent for {hive.silence_s:g} s."
    assert error.message == f"The worker w-1 on workstation {told}"
    error = crashed(hive, "w-1", when, silent, gone)
    assert error.message.endswith("ended after 1 of 9 tokens: it was ended by signal 9.")


async def test_a_port_that_is_blocked_is_told_before_the_load(start: Start) -> None:
    """The hive has the worker, and nobody answers at its address."""
    row = start.row(url="http://127.0.0.1:1")
    start.node.fake.workers = [row]
    error = await start.fails(row, LAYERS, READY, start.row("idle"))
    assert isinstance(error, PortBlocked)
    assert error.details == {"host": "127.0.0.1", "port": 1}
    assert LAYERS not in await start.put()


async def test_the_model_is_started_under_the_name_that_the_node_has_for_it(
    url_node: UrlNode,
) -> None:
    start = Start(url_node, "hf:o/r")
    url_node.fake.streams["/v1/models/download"] = [DownloadReply("d", MODEL, "/m.gguf")]
    await start.start.provide_model()
    assert start.start.wanted.model == MODEL
    assert url_node.fake.messages[0] == {
        "model": "hf:o/r",
        "detach": False,
        "to_run": True,
        "sources": [],
        "backend": None,
        "device": None,
        "force": False,
    }
    preflight, provisioning = await start.put()
    assert str(preflight).startswith("pool preflight: rbee-hive ")
    assert provisioning == f"model provisioning: {MODEL} is on disk"


async def test_the_load_that_another_request_began_is_watched_at_the_worker(start: Start) -> None:
    start.node.fake.streams["/v1/loading/progress"] = [LAYERS, READY]
    await start.start.wait_until_loaded(start.row())
    assert await start.put() == ["worker health: waiting until w-1 is ready", LAYERS, READY]
