"""Where a second worker is started for a line that has stood for too long."""

from __future__ import annotations

from rbee.contract.model_ref import parse
from rbee.contract.nodes import DeviceMemory, HeldModel, NodeFacts
from rbee.contract.workers import WorkerRow, WorkerState
from rbee.queen.nodes.fleet import Fleet
from rbee.queen.tasks.decide import REPLICATE_AGAIN_S, Decision, Full, decide
from rbee.queen.tasks.fairness import Accounts
from rbee.queen.tasks.replicas import FAILED_FOR_S
from rbee.queen.tasks.room import Rules
from rbee.queen.tasks.wants import Ticket, Want

GB = 1_000_000_000
MODEL, OTHER = "hf:o/m/m.gguf", "hf:o/other/x.gguf"
NOW = 1000.0
RULES = Rules(replicate_after_s=10)
CPU = DeviceMemory("cpu", 0, "RAM", 64 * GB, 32 * GB)


def card(free: int = 20, index: int = 0) -> DeviceMemory:
    return DeviceMemory("cuda", index, "card", 24 * GB, free * GB)


class Lab:
    """Nodes with these devices, which all have the model on disk; it needs 10 GB."""

    def __init__(self, **nodes: list[DeviceMemory]) -> None:
        self.fleet = Fleet()
        for name, memory in nodes.items():
            self.fleet.connected(name, 0)
            self.told(name, memory)

    def told(self, name: str, memory: list[DeviceMemory], *models: str) -> None:
        held = [HeldModel(each, None, GB, 10 * GB) for each in models or (MODEL,)]
        backends = list(dict.fromkeys(device.backend for device in memory))
        counts = dict.fromkeys(backends, 1)
        self.fleet.told(name, NodeFacts(backends, counts, memory, held, GB), NOW)

    def full(
        self, node: str, backend: str = "cuda", state: WorkerState = "busy", model: str = MODEL
    ) -> None:
        row = WorkerRow(f"{node}-{model}", "u", model, backend, 0, state, None, None, 1, 0)
        self.fleet.worker_told(node, row, 0)
        if model == MODEL:
            worker = self.fleet.worker(node, row.id)
            assert worker is not None
            worker.own, worker.others = 1, 0

    def decide(
        self, waited_s: float = 10, rules: Rules = RULES, at: float = NOW, **want: object
    ) -> Decision:
        wanted = Want(parse(MODEL), **want)  # type: ignore[arg-type]
        ticket = Ticket("k", wanted, 0, at - waited_s)
        return decide(self.fleet, {wanted: {"k": {0: ticket}}}, Accounts(), at, rules)

    def place(self, waited_s: float = 10, **want: object) -> tuple[str, str] | None:
        starts = [each.start for each in self.decide(waited_s, **want).replicas]
        assert len(starts) <= 1
        return (starts[0].node, starts[0].backend) if starts else None


def test_a_second_worker_starts_when_the_line_has_stood_for_that_long() -> None:
    lab = Lab(localhost=[card()], a=[card()])
    lab.full("localhost")
    early = lab.decide(waited_s=9)
    assert early.replicas == []
    assert list(early.held.values()) == [Full(1, NOW + 1)]
    [replica] = lab.decide().replicas
    assert (replica.model, replica.start.node, replica.start.needs_bytes) == (MODEL, "a", 10 * GB)
    assert list(lab.decide().held.values()) == [Full(1, NOW + REPLICATE_AGAIN_S)]
    assert lab.decide(waited_s=10_000, rules=Rules(replicate_after_s=0)).replicas == []


def test_nobody_ends_for_it_and_nothing_is_fetched() -> None:
    lab = Lab(localhost=[card()], a=[card(9)])
    lab.full("localhost")
    lab.full("a", state="idle", model=OTHER)
    assert lab.place() is None
    lab.told("a", [card(20)], OTHER)
    assert lab.place() is None
    lab.told("a", [card(20)])
    assert lab.place() == ("a", "cuda")


def test_one_starts_at_a_time() -> None:
    lab = Lab(localhost=[card()], a=[card()], b=[card()])
    lab.full("localhost")
    [replica] = lab.decide().replicas
    lab.fleet.begin(replica.start)
    assert lab.place() is None
    lab.full(replica.start.node, state="loading")
    assert replica.start.is_there
    assert lab.place() is None
    lab.fleet.finish(replica.start)
    lab.full(replica.start.node)
    assert lab.place() == ("b", "cuda")


def test_a_card_comes_before_a_cpu_and_a_free_one_beside_a_busy_cpu_is_used() -> None:
    lab = Lab(localhost=[card(), CPU], a=[CPU])
    lab.full("localhost", "cpu")
    assert lab.place() == ("localhost", "cuda")
    lab.told("localhost", [card(9), CPU])
    assert lab.place() == ("a", "cpu")


def test_a_cpu_gets_none_beside_a_card_nor_while_it_computes() -> None:
    lab = Lab(localhost=[card(12), CPU], a=[CPU])
    lab.full("localhost")
    lab.full("a", "cpu", "busy", OTHER)
    assert lab.place() is None
    lab.full("a", "cpu", "idle", OTHER)
    assert lab.place() == ("a", "cpu")
    lab.full("a", "cpu")
    assert lab.place() is None  # never two for one model on one CPU


def test_only_what_the_line_wants_will_do() -> None:
    lab = Lab(localhost=[card(), card(index=1)], a=[card(), CPU])
    lab.full("localhost")
    assert lab.place(node="localhost") == ("localhost", "cuda")
    assert lab.place(node="localhost", device=0) is None
    assert lab.place(tried=frozenset({"a"})) == ("localhost", "cuda")
    assert lab.place(tried=frozenset({"a", "localhost"})) is None


def test_a_node_where_it_did_not_start_is_left_alone_for_a_while() -> None:
    lab = Lab(localhost=[card()], a=[card()])
    lab.full("localhost")
    lab.fleet.failures["a", "hf:o/m"] = NOW
    assert lab.decide(at=NOW + FAILED_FOR_S - 1).replicas == []
    assert len(lab.decide(at=NOW + FAILED_FOR_S).replicas) == 1
