"""The node of a worker that is started, or a model that is fetched, where nobody has named one."""

from __future__ import annotations

import asyncio

import pytest

from rbee.contract import errors
from rbee.contract.config import Config
from rbee.contract.errors import ModelCorrupt, ModelNotFound, NodeNotFound, RbeeError, VramExhausted
from rbee.contract.events import Narration
from rbee.contract.model_ref import parse
from rbee.contract.nodes import DeviceMemory, HeldModel, NodeFacts
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.node_wish import NodeWish
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.tasks.scheduler import Scheduler
from rbee.runtime.event_queue import EventQueue
from rbee.runtime.gauges import Gauge
from rbee.runtime.keyring import OPERATOR, Caller, caller
from rbee.runtime.log import correlation_id

MODEL = parse("hf:o/r/m.gguf")
GB = 1_000_000_000
FULL = VramExhausted("b is full.", node="b", device="cpu", required=2, available=1)


class Made:
    """`errors` are what the work raises, by node; `tried` are the nodes in their order; `held`
    keeps the work from ending."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.scheduler = Scheduler(Config(), nodes)
        self.errors: dict[str, Exception] = {}
        self.tried: list[str] = []
        self.held = asyncio.Event()
        self.held.set()

    def up(self, name: str, free: int = GB, needs: int | None = None, cuda: bool = False) -> None:
        """A hive that runs, on a node that has the model if it is known what that `needs`."""
        backend = "cuda" if cuda else "cpu"
        held = [] if needs is None else [HeldModel(str(MODEL), None, GB, needs)]
        memory = [DeviceMemory(backend, 0, "d", 9 * GB, free)]
        self.nodes.fleet.connected(name, 0)
        self.nodes.fleet.told(name, NodeFacts([backend], {backend: 1}, memory, held, GB))

    async def do(self, **asked: object) -> list[str]:
        """What is said of the placement."""
        events = EventQueue()
        wish = NodeWish(model=MODEL, **asked)  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            await self.scheduler.on_node(wish, events, self._work)
        events.close()
        return [each.text async for each in events.read() if isinstance(each, Narration)]

    async def _work(self, hive: Hive) -> None:
        self.tried.append(hive.node)
        await self.held.wait()
        if hive.node in self.errors:
            raise self.errors[hive.node]


@pytest.fixture
async def alone(this_machine: Nodes) -> Made:
    return Made(this_machine)


@pytest.fixture
async def made(three_nodes: Nodes) -> Made:
    """The hives on a and b run; b has the model."""
    made = Made(three_nodes)
    made.up("a", 9 * GB)
    made.up("b", needs=GB // 2)
    return made


async def test_where_there_is_only_this_machine_it_is_taken_without_a_word(alone: Made) -> None:
    assert await alone.do() == []
    assert await alone.do(explain=True) == ["placement: localhost, the only node there is"]
    assert alone.tried == ["localhost"] * 2


async def test_the_node_that_has_the_model_is_taken_and_said(made: Made) -> None:
    because = "placement: b, since the model is there, its hive runs, 1000 MB are free"
    assert await made.do() == [because]
    lines = await made.do(explain=True)
    assert [line.split()[1] for line in lines[:-1]] == ["b", "a", "localhost"]
    assert lines[-1] == because
    assert made.tried == ["b", "b"]


async def test_a_worker_that_holds_the_model_is_no_reason(made: Made) -> None:
    """A worker of its own was asked for, and it must fit beside that one."""
    made.up("a", free=GB // 8)
    row = WorkerRow("w", "http://w", str(MODEL), "cpu", 0, "idle", None, None, 4, 4)
    made.nodes.fleet.worker_told("a", row, 0)
    await made.do()
    made.up("b", free=GB // 4, needs=GB // 2)
    made.up("a", free=9 * GB)
    lines = await made.do(explain=True)
    assert "placement: b can't: 250 MB are free, the model needs 500 MB" in lines
    assert made.tried == ["b", "a"]


async def test_the_backend_must_be_there(made: Made) -> None:
    made.up("a", cuda=True)
    await made.do(backend="cuda")
    assert made.tried == ["a"]


async def test_what_a_node_can_not_do_the_next_one_does(made: Made) -> None:
    made.errors["b"] = FULL
    assert await made.do() == [
        "placement: b, since the model is there, its hive runs, 1000 MB are free",
        "placement: b is full; trying a",
    ]
    assert made.tried == ["b", "a"]


@pytest.mark.parametrize(
    "error",
    [
        errors.BackendUnavailable(backend="cuda", available=[]),
        errors.ConnectionTimeout(host="b", port=9200, attempts=3),
        errors.DiskFull(required=2, available=1, path="/"),
        errors.InvalidApiKey(host="b"),
        errors.KeyNotProven(address="b:9200", holder=None),
        errors.LoadingTimeout(node="b", state="loading", layers_loaded=1, layers_total=2),
        errors.PortBlocked(host="b", port=9200),
        errors.ProgramFailed(program="rbee-hive", reason="not installed"),
        errors.ShuttingDown(),
        errors.SshConnectionFailed(host="b", port=22, reason="the key was rejected"),
        errors.VersionMismatch(
            program="queen-rbee", version="1.0", other_program="rbee-hive", other_version="0.9"
        ),
    ],
    ids=lambda error: error.code,
)
async def test_whatever_is_wrong_with_one_node_another_is_tried(
    made: Made, error: RbeeError
) -> None:
    made.errors["b"] = error
    await made.do()
    assert made.tried == ["b", "a"]


async def test_the_error_of_the_first_is_raised_if_none_can(made: Made) -> None:
    for name in ("b", "a", "localhost"):
        made.errors[name] = VramExhausted(f"{name}.", **FULL.details)
    with pytest.raises(VramExhausted, match=r"b\."):
        await made.do()
    assert made.tried == ["b", "a", "localhost"]


async def test_a_node_that_was_removed_meanwhile_is_not_the_reason(made: Made) -> None:
    """The fleet has not heard of it yet. Nobody named it."""
    made.up("removed", needs=GB // 8, free=9 * GB)
    made.up("b", free=0)
    await made.do()
    assert made.tried == ["a"]
    for name in ("a", "b", "localhost"):
        made.errors[name] = VramExhausted(f"{name}.", **FULL.details)
    with pytest.raises(VramExhausted, match=r"a\.") as caught:
        await made.do()
    assert "removed" not in caught.value.details["others"]


async def test_an_error_that_is_everywhere_ends_it(made: Made) -> None:
    made.errors["b"] = ModelCorrupt(file="f", reason="r")
    with pytest.raises(ModelCorrupt):
        await made.do()
    assert made.tried == ["b"]


class Sleeping:
    """Stands for the nodes, which say what is done with c, which sleeps."""

    def __init__(self, made: Made, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._fleet = made.nodes.fleet
        self._fleet.know("c", ["cpu"], "off" if known else None, wakes=True)
        monkeypatch.setattr(made.nodes, "hive", lambda name: Named(name))
        monkeypatch.setattr(made.nodes, "may_use", self._may_use)

    async def _may_use(self, hive: Hive, is_meant: bool, _: object) -> bool:
        self.asked.append((hive.node, is_meant))
        if hive.node == "c" and self._fleet.nodes["c"].away is None:
            self._fleet.know("c", ["cpu"], "off", wakes=True)
            return False
        return True


class Named:
    def __init__(self, node: str) -> None:
        self.node = node


async def test_a_node_that_sleeps_is_the_last_that_is_tried(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping = Sleeping(made, monkeypatch, known=True)
    made.errors = dict.fromkeys(["a", "b", "localhost"], FULL)
    said = await made.do(explain=True)
    assert made.tried == ["b", "a", "localhost", "c"]
    assert "placement: c can: it sleeps, and can be woken" in said
    assert sleeping.asked[-1] == ("c", False)


async def test_one_that_is_found_asleep_waits_until_no_other_can(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knew it: of those that can, it was the first."""
    sleeping = Sleeping(made, monkeypatch, known=False)
    made.up("a", cuda=True)
    made.up("b", cuda=True)
    made.errors = {"a": FULL, "b": FULL}
    made.nodes.fleet.know("localhost", ["cuda"])
    await made.do(backend="cpu")
    assert made.tried == ["c"]
    assert [name for name, _ in sleeping.asked] == ["c", "c"]


async def test_no_node_is_woken_for_a_model_that_is_nowhere(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    Sleeping(made, monkeypatch, known=True)
    made.errors = dict.fromkeys(["a", "b", "localhost"], ModelNotFound(model=str(MODEL), near=[]))
    with pytest.raises(ModelNotFound):
        await made.do()
    assert made.tried == ["b", "a", "localhost"]


async def test_a_node_that_is_named_is_taken_and_no_other(made: Made) -> None:
    assert await made.do(node="a", explain=True) == []
    made.errors["a"] = FULL
    with pytest.raises(RbeeError, match="b is full"):
        await made.do(node="a")
    with pytest.raises(NodeNotFound):
        await made.do(node="z")
    assert made.tried == ["a", "a"]


async def test_what_starts_at_the_same_moment_does_not_choose_the_same_memory(made: Made) -> None:
    """As long as the first goes on: its model may have to be fetched before it is loaded."""
    made.up("a", GB // 4 * 3, needs=GB // 2)
    made.up("b", GB, needs=GB // 2)
    made.held.clear()
    starting = [asyncio.create_task(made.do()) for _ in range(2)]
    async with asyncio.timeout(5):
        while len(made.tried) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert made.tried == ["b", "a"]
    made.held.set()
    await asyncio.gather(*starting)
    assert made.nodes.fleet.starts == []


async def test_what_is_only_fetched_takes_no_memory(made: Made) -> None:
    made.held.clear()
    fetching = [asyncio.create_task(made.do(to_run=False)) for _ in range(2)]
    async with asyncio.timeout(5):
        while len(made.tried) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert made.tried == ["b", "b"]
    assert made.nodes.fleet.starts == []
    made.held.set()
    await asyncio.gather(*fetching)


async def test_a_long_work_takes_nothing_from_other_keys(made: Made) -> None:
    """Nor does its key save up meanwhile, or keep what others have used from being forgotten."""
    made.held.clear()
    fetching = asyncio.create_task(made.do())
    async with asyncio.timeout(5):
        while not made.tried:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    dispatcher = made.scheduler._dispatcher
    dispatcher.enter(Caller("guest", "use"), lambda _: None).end(10_000)
    accounts = dispatcher._accounts
    assert (accounts.account(OPERATOR.name), accounts.account("guest")) == (0, 0)
    assert len(made.nodes.fleet.starts) == 1
    made.held.set()
    await fetching
    assert made.nodes.fleet.starts == []


async def test_a_guest_is_not_told_what_other_nodes_lack(made: Made) -> None:
    for name in ("b", "a", "localhost"):
        made.errors[name] = VramExhausted(f"{name}.", **FULL.details)
    caller.set(Caller("guest", "use"))
    with pytest.raises(VramExhausted) as caught:
        await made.do()
    assert caught.value.message == "b."
    assert "others" not in caught.value.details


async def test_its_decisions_are_found_by_the_id_of_its_request(made: Made) -> None:
    correlation_id.set("of-this-request")
    await made.do()
    [decision] = made.scheduler.decisions()
    assert (decision.request_id, decision.node) == ("of-this-request", "b")


async def test_it_takes_no_slot_and_nobody_waits_for_it(made: Made) -> None:
    await made.do()
    values = {each.name: each.value for each in made.scheduler.gauges() if isinstance(each, Gauge)}
    assert values["rbee_queue_waiting"] == values["rbee_tasks_running"] == 0
