"""Tasks: each on the first node that can, each canceled by its id, each told how it ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from msgspec.structs import replace

from rbee.contract.config import Config
from rbee.contract.embeddings import EmbeddingRequest
from rbee.contract.errors import (
    BackendUnavailable,
    ConnectionTimeout,
    InvalidModelRef,
    InvalidRequest,
    ModelCorrupt,
    ModelNotFound,
    NodeNotFound,
    PortBlocked,
    ProgramFailed,
    RbeeError,
    RequestCanceled,
    ShuttingDown,
    SshConnectionFailed,
    VersionMismatch,
    VramExhausted,
    WorkerCrashed,
)
from rbee.contract.events import Accepted, Event, Narration
from rbee.contract.nodes import NodeFacts
from rbee.contract.registry import NodeRow
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.tasks.scheduler import Scheduler
from rbee.queen.tasks.task import Task, VectorRequest
from rbee.runtime.concurrency import stop

AWAY = ConnectionTimeout("a is off.", host="a", port=22, attempts=3)
FILE = "hf:o/r/m.gguf"
IDLE = WorkerRow("w", "http://w", FILE, "cpu", 0, "idle", None, None, 4, 4)
FACTS = NodeFacts(["cpu"], {"cpu": 1}, [], [], 1)


class Made:
    """A scheduler of the nodes a, b and c, with attempts that a test decides on: `errors` are what
    they raise, by node; `held` keeps them from ending, and `is_sent` says that a worker had the
    task."""

    def __init__(self, nodes: Nodes) -> None:
        self.errors: dict[str, Exception] = {}
        self.tried: list[str] = []
        self.tasks: list[Task] = []
        self.held = asyncio.Event()
        self.held.set()
        self.is_sent = False
        self.nodes = nodes
        self.scheduler = Scheduler(Config(), nodes, self._attempt)

    def stream(self, **asked: object) -> AsyncGenerator[Event, None]:
        request = TaskRequest(prompt="p", **{"model": "hf:o/r", **asked})  # type: ignore[arg-type]
        stream = self.scheduler.stream(request)
        assert isinstance(stream, AsyncGenerator)
        return stream

    async def ask(self, **asked: object) -> list[str]:
        """What was narrated of a task that ends well."""
        async with asyncio.timeout(5):
            events = [event async for event in self.stream(**asked)]
        return [event.text for event in events if isinstance(event, Narration)]

    async def _attempt(self, task: Task, hive: Hive, *_: object) -> None:
        self.tried.append(hive.node)
        self.tasks.append(task)
        await self.held.wait()
        task.is_sent = self.is_sent
        if hive.node in self.errors:
            raise self.errors[hive.node]


@pytest.fixture
async def alone(this_machine: Nodes) -> Made:
    """No node is known but this machine."""
    return Made(this_machine)


async def test_no_task_goes_to_a_node_that_is_being_removed(alone: Made, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 43)
    key.chmod(0o600)
    streams: list[object] = []
    async with await asyncio.start_server(
        lambda *pair: streams.append(pair), "127.0.0.1", 0
    ) as silent:
        host, port = silent.sockets[0].getsockname()
        url = f"http://{host}:{port}"
        row = NodeRow(node_name="a", hive_url=url, api_key_file=str(key))
        await alone.nodes.registry.put(row)
        fleet = alone.nodes.fleet
        fleet.connected("a", 0)
        fleet.worker_told("a", IDLE, 0)
        asking = asyncio.create_task(alone.nodes.hive("a").discover())
        await asyncio.sleep(0.1)
        assert not asking.done()  # so the hive takes a moment to close
        await alone.nodes.registry.remove("a")
        removing = asyncio.create_task(alone.nodes.forget("a"))
        await asyncio.sleep(0)
        assert not removing.done()
        fleet.worker_told("a", IDLE, 0)  # its hive still tells
        assert list(fleet.nodes) == ["localhost"]
        await removing
        with pytest.raises(ShuttingDown):
            await asking
        assert list(fleet.nodes) == ["localhost"]


async def test_a_node_that_is_gone_when_its_turn_comes_is_not_the_only_one(made: Made) -> None:
    made.nodes.fleet.connected("gone", 0)
    made.nodes.fleet.worker_told("gone", replace(IDLE, slots_total=9, slots_available=9), 0)
    said = await made.ask()
    assert made.tried == ["b"]
    assert said


@pytest.fixture
async def made(three_nodes: Nodes) -> Made:
    """The hive on b has an idle worker, that on a runs too, and c is off."""
    fleet = three_nodes.fleet
    for name in "ab":
        fleet.connected(name, 0)
        fleet.told(name, FACTS, 0)
    fleet.worker_told("b", IDLE, 0)
    fleet.know("c", away="off")
    return Made(three_nodes)


async def test_the_first_that_can_is_taken_and_told_with_its_reasons(made: Made) -> None:
    told = await made.ask()
    assert made.tried == ["b"]
    assert told == ["placement: b, since an idle worker holds the model, its hive runs"]


async def test_all_are_explained_to_who_asks(made: Made) -> None:
    told = await made.ask(explain=True)
    assert told == [
        "placement: b can: an idle worker holds the model, its hive runs",
        "placement: a can: its hive runs",
        "placement: localhost can: its hive is to be started",
        "placement: c can't: it did not answer: off",
        "placement: b, since an idle worker holds the model, its hive runs",
    ]


@pytest.mark.parametrize(
    "error",
    [
        AWAY,
        SshConnectionFailed(host="b", port=22, reason="refused"),
        PortBlocked(host="b", port=9200),
        ProgramFailed(program="rbee-hive", reason="no"),
        VersionMismatch(program="q", version="1.0", other_program="h", other_version="2.0"),
        BackendUnavailable(backend="cuda", available=["cpu"]),
        VramExhausted(node="b", device="cpu", required=2, available=1),
        ModelNotFound(model="m", near=[]),
        WorkerCrashed(worker_id="w", node="b", tokens=0, max_tokens=9, log_tail=[]),
    ],
)
async def test_what_another_may_do_is_tried_there(made: Made, error: RbeeError) -> None:
    made.errors["b"] = error
    told = await made.ask()
    assert made.tried == ["b", "a"]
    assert told[1:] == [f"placement: {error.message.rstrip('.')}; trying a"]


@pytest.mark.parametrize(
    "error",
    [
        ModelCorrupt(file="/m.gguf", reason="it is cut off"),
        InvalidRequest(errors=[]),
    ],
)
async def test_what_no_other_would_do_better_is_raised(made: Made, error: RbeeError) -> None:
    made.errors["b"] = error
    with pytest.raises(type(error)):
        await made.ask()
    assert made.tried == ["b"]


async def test_a_worker_that_had_the_task_when_it_ended_is_not_replaced_on_another_node(
    made: Made,
) -> None:
    made.errors["b"] = _crashed("b")
    made.is_sent = True
    with pytest.raises(WorkerCrashed):
        await made.ask()
    assert made.tried == ["b"]


async def test_a_model_whose_workers_never_get_ready_is_tried_on_three_nodes(made: Made) -> None:
    await made.nodes.registry.put(NodeRow(node_name="d", hive_url="http://127.0.0.1:1"))
    for name in ("a", "b", "d", "localhost"):
        made.nodes.fleet.connected(name, 0)
        made.nodes.fleet.told(name, FACTS)
        made.errors[name] = _crashed(name)
    with pytest.raises(WorkerCrashed):
        await made.ask()
    assert len(made.tried) == len(set(made.tried)) == 3


def _crashed(node: str) -> WorkerCrashed:
    return WorkerCrashed(worker_id="w", node=node, tokens=0, max_tokens=9, log_tail=[])


async def test_where_none_can_the_first_error_is_raised(made: Made) -> None:
    first = VramExhausted(node="b", device="cpu", required=2, available=1)
    made.errors.update(b=first, a=AWAY, localhost=AWAY)
    with pytest.raises(VramExhausted) as caught:
        await made.ask()
    assert caught.value is first
    assert made.tried == ["b", "a", "localhost"]


async def test_a_node_that_is_named_is_the_only_one(made: Made) -> None:
    made.errors["a"] = AWAY
    events: list[Event] = []
    with pytest.raises(ConnectionTimeout):
        async for event in made.stream(node="a", explain=True):
            events.append(event)
    assert made.tried == ["a"]
    assert [type(event) for event in events] == [Accepted]


@pytest.mark.parametrize(
    ("asked", "error"), [({"node": "nobody"}, NodeNotFound), ({"model": "s3://x"}, InvalidModelRef)]
)
async def test_what_can_t_be_meant_is_refused_before_the_first_event(
    made: Made, asked: dict[str, str], error: type[RbeeError]
) -> None:
    with pytest.raises(error):
        await anext(made.stream(**asked))
    assert made.tried == []


async def test_without_other_nodes_it_is_this_machine(alone: Made) -> None:
    assert await alone.ask() == []
    assert await alone.ask(explain=True) == ["placement: localhost, the only node there is"]
    assert alone.tried == ["localhost", "localhost"]


async def test_where_none_can_this_machine_says_why(made: Made) -> None:
    for name in "abc":
        made.nodes.fleet.lost(name)
        made.nodes.fleet.know(name, ["cpu"])
    made.nodes.fleet.know("localhost", ["cpu"])
    made.held.clear()
    stream = made.stream(backend="cuda")
    await anext(stream)
    because = ["no node can, and this machine says why"]
    assert isinstance(await anext(stream), Narration)
    [row] = made.scheduler.rows()
    assert (row.state, row.node, row.reasons) == ("starting", "localhost", because)
    made.held.set()
    assert [event async for event in stream] == []
    assert made.tried == ["localhost"]
    told = [(each.outcome, each.node) for each in made.scheduler.decisions()]
    assert told == [("nowhere", None), ("placed", "localhost")]


async def test_where_none_can_it_is_told_why_each_of_them_can_not(made: Made) -> None:
    full = VramExhausted(node="b", device="cpu", required=9, available=1)
    made.errors.update(b=full, a=AWAY, localhost=replaced(full, node="localhost"))
    with pytest.raises(VramExhausted) as caught:
        await made.ask()
    others = {
        "a": "a is off",
        "c": "it did not answer: off",
        "localhost": "localhost has 1 MB free on cpu, but the model needs 9 MB",
    }
    assert caught.value.details["others"] == others
    said = "b has 1 MB free on cpu, but the model needs 9 MB. No other node can: "
    by_name = "; ".join(f"{node}: {reason}" for node, reason in others.items())
    assert caught.value.message == f"{said}{by_name}."


async def test_of_a_node_that_is_named_only_its_own_reason_is_told(made: Made) -> None:
    made.errors["a"] = VramExhausted(node="a", device="cpu", required=9, available=1)
    with pytest.raises(VramExhausted) as caught:
        await made.ask(node="a")
    assert "others" not in caught.value.details


def replaced(error: VramExhausted, **details: object) -> VramExhausted:
    return VramExhausted(**{**error.details, **details})


async def begun(made: Made) -> tuple[str, AsyncGenerator[Event, None]]:
    """A task whose attempt goes on until the test ends it."""
    made.held.clear()
    stream = made.stream(node="a")
    accepted = await anext(stream)
    assert isinstance(accepted, Accepted)
    return accepted.request_id, stream


async def test_a_task_is_canceled_by_its_id_and_more_than_once_is_not_an_error(made: Made) -> None:
    name, stream = await begun(made)
    made.scheduler.cancel("of somebody else")
    made.scheduler.cancel(name)
    made.scheduler.cancel(name)
    with pytest.raises(RequestCanceled):
        await anext(stream)
    made.scheduler.cancel(name)


async def test_at_the_end_every_task_is_told_so_and_waited_for(made: Made) -> None:
    (first, one), (_, other) = await begun(made), await begun(made)
    assert made.scheduler.gauges()[0].value == 2
    made.scheduler.cancel(first)
    made.scheduler.cancel_all()
    async with asyncio.timeout(5):
        await made.scheduler.wait_until_idle()
    with pytest.raises(RequestCanceled):  # it was canceled before
        await anext(one)
    with pytest.raises(ShuttingDown):
        await anext(other)


async def test_a_reader_that_leaves_cancels_its_task(made: Made) -> None:
    _, stream = await begun(made)
    await stream.aclose()
    async with asyncio.timeout(5):
        await made.scheduler.wait_until_idle()


async def test_what_nobody_expected_is_raised_to_the_reader(made: Made) -> None:
    made.errors["a"] = ZeroDivisionError("of the queen")
    stream = made.stream(node="a")
    with contextlib.suppress(StopAsyncIteration):
        await anext(stream)
        with pytest.raises(ZeroDivisionError):
            await anext(stream)


async def test_what_has_no_stream_is_asked_for_and_canceled_with_its_caller(made: Made) -> None:
    texts = VectorRequest(texts=EmbeddingRequest(input="a"), node="a", model="hf:o/r")
    made.held.clear()
    asking = asyncio.create_task(made.scheduler.ask(texts))
    async with asyncio.timeout(5):
        while not made.tried:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert made.tried == ["a"]
    await stop(asking)
    async with asyncio.timeout(5):
        await made.scheduler.wait_until_idle()
    made.held.set()
    made.errors["a"] = AWAY
    with pytest.raises(ConnectionTimeout):
        await made.scheduler.ask(texts)


async def test_tasks_of_a_session_share_what_is_known_of_it(alone: Made) -> None:
    for asked in ({"session": "s"}, {"session": "s"}, {"session": "t"}, {}, {}):
        await alone.ask(**asked)
    first, second, other, none, nor_this = [task.session for task in alone.tasks]
    assert first is second
    assert len({id(each) for each in (first, other, none, nor_this)}) == 4
