"""Which waiting task goes where, from what is known of the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from rbee.contract.model_ref import parse
from rbee.contract.nodes import DeviceMemory, HeldModel, NodeFacts
from rbee.contract.workers import WorkerRow, WorkerState
from rbee.queen.nodes.fleet import ASK_AGAIN_S, Fleet, Start
from rbee.queen.tasks.decide import (
    FACTS_WITHIN_S,
    Crowded,
    Decision,
    Full,
    Look,
    Nowhere,
    Outcome,
    Spot,
    decide,
    judge,
    place,
)
from rbee.queen.tasks.fairness import Accounts
from rbee.queen.tasks.room import Claims, Rules
from rbee.queen.tasks.wants import Ticket, Want

GB = 1_000_000_000
Q4, Q8 = "hf:o/r/m-Q4_K_M.gguf", "hf:o/r/m-Q8_0.gguf"
NOW = 100.0


def held(reference: str, needs: int | None = GB) -> HeldModel:
    return HeldModel(reference, None, GB, needs)


class Lab:
    """A fleet whose nodes are up."""

    def __init__(self, *names: str) -> None:
        self.fleet = Fleet()
        for name in names:
            self.fleet.connected(name, 0)
            self.facts(name)

    def facts(
        self, name: str, *models: HeldModel, free: int = 8 * GB, backend: str = "cpu"
    ) -> None:
        memory = [DeviceMemory(backend, 0, "x", 16 * GB, free)]
        backends = list(dict.fromkeys((backend, "cpu")))
        self.fleet.told(name, NodeFacts(backends, {backend: 1}, memory, list(models), GB), NOW)

    def worker(
        self,
        name: str,
        node: str = "localhost",
        model: str = Q4,
        state: WorkerState = "idle",
        free: int | None = None,
        backend: str = "cpu",
        slots: int = 2,
    ) -> None:
        free = slots if free is None else free
        row = WorkerRow(name, "http://w", model, backend, 0, state, None, None, slots, free)
        self.fleet.worker_told(node, row, NOW)

    def place(
        self,
        model: str = "hf:o/r",
        now: float = NOW,
        taken: Mapping[str, int] | None = None,
        **more: object,
    ) -> Outcome:
        want = Want(parse(model), **more)  # type: ignore[arg-type]
        return place(self.fleet, Ticket("a", want, 0, NOW), Claims(taken=dict(taken or {})), now)

    def worker_of(self, model: str = "hf:o/r", **more: object) -> str | None:
        spot = self.place(model, **more)  # type: ignore[arg-type]
        assert isinstance(spot, Spot)
        return spot.worker.row.id if spot.worker else None

    def node_of(self, model: str = "hf:o/r", **more: object) -> str:
        spot = self.place(model, **more)  # type: ignore[arg-type]
        assert isinstance(spot, Spot)
        assert spot.worker is None
        return spot.node

    def decide(self, *tickets: Ticket, accounts: Accounts | None = None) -> Decision:
        lines: dict[Want, dict[str, dict[int, Ticket]]] = {}
        for ticket in tickets:
            lines.setdefault(ticket.want, {}).setdefault(ticket.key, {})[ticket.turn] = ticket
        return decide(self.fleet, lines, accounts or Accounts(), NOW)


def test_a_free_slot_is_taken_wherever_it_is() -> None:
    lab = Lab("localhost", "a", "b")
    lab.worker("full", "a", state="busy", free=0)
    lab.worker("half", "b", state="busy", free=1)
    assert lab.worker_of() == "half"
    lab.worker("idle", "a")
    assert lab.worker_of() == "idle"
    assert lab.worker_of(taken={"idle": 2}) == "half"


def test_a_worker_that_loads_is_joined_if_none_is_loaded() -> None:
    lab = Lab("localhost", "a")
    lab.worker("loading", "a", state="loading", free=0)
    assert lab.worker_of() == "loading"
    lab.worker("loaded", state="busy", free=1)
    assert lab.worker_of() == "loaded"


START = Start("localhost", "cpu", 0, "hf:o/r", 2 * GB, makes_room=True, takes_slot=False)


@pytest.mark.parametrize("makes_room", [True, False])
def test_a_start_that_fetches_holds_nobody_back_from_a_node_that_has_the_model(
    makes_room: bool,
) -> None:
    lab = Lab("localhost", "a", "b")
    lab.fleet.begin(replace(START, makes_room=makes_room))
    assert isinstance(lab.place(), Crowded if makes_room else Spot)
    lab.facts("a", held(Q4, 2 * GB))
    found = lab.place()
    assert isinstance(found, Spot)
    assert found.start is not None
    assert (found.node, found.start.node) == ("a", "a")
    lab.fleet.begin(found.start)
    lab.facts("b", held(Q4))
    assert lab.node_of() == "a"  # the second joins the first


@pytest.mark.parametrize(
    "want", [{}, {"node": "localhost"}, {"device": 0, "backend": "cuda"}, {"tried": frozenset("a")}]
)
def test_a_start_is_waited_for_where_nothing_is_sooner(want: dict[str, Any]) -> None:
    """Another node has no room, is not wanted, or can't."""
    lab = Lab("localhost", "a")
    backend = want.get("backend", "cpu")
    lab.fleet.begin(replace(START, backend=backend))
    lab.facts("a", held(Q4, GB), free=8 * GB if want else 0)
    assert isinstance(lab.place(**want), Crowded)


def test_a_start_of_a_model_that_is_on_disk_is_waited_for() -> None:
    lab = Lab("localhost", "a")
    lab.facts("localhost", held(Q4))
    lab.facts("a", held(Q4))
    lab.fleet.begin(START)
    assert isinstance(lab.place(), Crowded)


def test_nobody_ends_on_another_node_for_what_is_being_fetched() -> None:
    lab = Lab("localhost", "a")
    lab.worker("idle", "a", "hf:o/other/m.gguf")
    lab.fleet.nodes["a"].workers["idle"].row = replace(
        lab.fleet.nodes["a"].workers["idle"].row, frees_bytes=4 * GB
    )
    lab.facts("a", held(Q4, 4 * GB), held("hf:o/other/m.gguf"), free=2 * GB)
    assert isinstance(lab.place(), Spot)  # an idle worker would end for it
    lab.fleet.begin(START)
    assert isinstance(lab.place(), Crowded)


def test_a_gpu_that_is_free_is_never_passed_over_for_a_cpu() -> None:
    lab = Lab("localhost", "a")
    lab.worker("cpu")
    lab.worker("gpu", "a", backend="cuda", state="busy", free=1)
    assert lab.worker_of() == "gpu"
    assert lab.worker_of(backend="cpu") == "cpu"


def test_an_unhealthy_worker_is_as_good_as_none() -> None:
    lab = Lab("localhost")
    lab.worker("w", state="unhealthy")
    assert lab.node_of() == "localhost"


def test_only_what_was_asked_for_will_do() -> None:
    lab = Lab("localhost", "a")
    lab.worker("w", "a", Q8)
    assert lab.worker_of("hf:O/R:Q8_0") == "w"
    assert lab.worker_of(Q8) == "w"
    assert lab.node_of("hf:o/r:Q4_K_M") == "localhost"
    assert lab.node_of("hf:o/r", node="localhost") == "localhost"
    assert lab.node_of("hf:o/r", device=1) == "a"
    assert lab.node_of("hf:o/r", tried=frozenset("a")) == "localhost"


def test_a_repository_means_the_model_that_the_node_would_choose() -> None:
    lab = Lab("localhost")
    lab.worker("w", model=Q8)
    assert lab.worker_of() == "w"
    lab.facts("localhost", held(Q4), held(Q8))
    assert lab.node_of() == "localhost"
    assert lab.worker_of(Q8) == "w"


def test_full_workers_are_waited_for_wherever_they_are() -> None:
    lab = Lab("localhost", "a")
    lab.worker("one", state="busy")
    lab.worker("two", "a", slots=3)
    for name, node in (("one", "localhost"), ("two", "a")):
        worker = lab.fleet.worker(node, name)
        assert worker is not None
        for _ in range(worker.row.slots_total):
            lab.fleet.claim(worker, NOW)
    assert lab.place() == Full(5, None)


def test_slots_that_others_have_are_asked_for_again() -> None:
    lab = Lab("localhost")
    lab.worker("w", state="busy", free=0)
    again = NOW + ASK_AGAIN_S
    assert lab.place() == Full(2, again)
    assert lab.worker_of(now=again) == "w"
    assert lab.place(now=again, taken={"w": 1}) == Full(2, again)


def test_who_has_the_file_loads_it() -> None:
    lab = Lab("localhost", "a", "b")
    lab.facts("b", held(Q4))
    assert lab.node_of() == "b"
    lab.facts("b", held(Q4, 9 * GB))
    assert lab.node_of() == "localhost"


def test_facts_that_are_about_to_come_are_waited_for() -> None:
    lab = Lab("localhost")
    assert lab.node_of() == "localhost"
    lab.fleet.connected("a", NOW - 1)
    assert lab.place() == Look(NOW - 1 + FACTS_WITHIN_S)
    assert lab.node_of(now=NOW + 1) == "localhost"
    lab.facts("a", held(Q4))
    assert lab.node_of() == "a"


def test_nobody_waits_for_facts_of_a_node_that_is_not_meant() -> None:
    lab = Lab("localhost")
    lab.fleet.connected("a", NOW - 1)
    assert lab.node_of(node="localhost") == "localhost"
    lab.worker("w")
    assert lab.worker_of() == "w"


def test_where_no_node_can_the_reasons_are_told() -> None:
    lab = Lab("localhost")
    lab.fleet.know("a", ["cpu"], "it is off")
    outcome = lab.place(backend="cuda")
    assert isinstance(outcome, Nowhere)
    assert {each.node: each.reasons for each in outcome.verdicts} == {
        "localhost": ["it has no cuda, only cpu"],
        "a": ["it did not answer: it is off"],
    }


def test_a_file_that_a_node_lacks_is_not_looked_for_there() -> None:
    lab = Lab("localhost", "a")
    assert lab.node_of("file:/m.gguf", lacking=frozenset({"localhost"})) == "a"


def test_the_chosen_node_is_explained_first() -> None:
    lab = Lab("localhost", "a")
    lab.worker("w", "a")
    spot = lab.place()
    assert isinstance(spot, Spot)
    assert spot.reasons == ["an idle worker holds the model", "its hive runs", "8000 MB are free"]
    names = [each.node for each in judge(lab.fleet, Want(parse("hf:o/r")), spot)]
    assert names == ["a", "localhost"]


def ticket(turn: int, key: str = "a", model: str = "hf:o/r") -> Ticket:
    return Ticket(key, Want(parse(model)), turn, NOW)


def test_slots_are_given_out_once_each() -> None:
    lab = Lab("localhost", "a")
    lab.worker("one", slots=1, free=1)
    lab.worker("two", "a", slots=2, free=2)
    decision = lab.decide(*(ticket(turn) for turn in range(5)))
    assert [each.turn for each, _ in decision.placed] == [0, 1, 2]
    used = [spot.worker.row.id for _, spot in decision.placed if spot.worker]
    assert sorted(used) == ["one", "two", "two"]
    assert decision.held == {ticket(0).want: Full(3, NOW + Rules().replicate_after_s)}


@pytest.mark.parametrize("other", ["hf:o/r", Q4])
def test_keys_take_turns_also_from_different_lines(other: str) -> None:
    lab = Lab("localhost")
    lab.worker("w", slots=3, free=3)
    accounts = Accounts()
    tickets = [*(ticket(turn) for turn in range(4)), ticket(4, "b", other), ticket(5, "b", other)]
    for each in tickets:
        accounts.enter(each.key)
    decision = lab.decide(*tickets, accounts=accounts)
    assert [each.turn for each, _ in decision.placed] == [0, 4, 1]


def test_a_line_that_can_t_go_on_holds_up_no_other() -> None:
    lab = Lab("localhost")
    lab.worker("full", slots=1, free=1)
    worker = lab.fleet.worker("localhost", "full")
    assert worker is not None
    lab.fleet.claim(worker, NOW)
    decision = lab.decide(ticket(0), ticket(1, model="hf:other/r"))
    assert [each.turn for each, _ in decision.placed] == [1]
    assert decision.held == {ticket(0).want: Full(1, NOW + Rules().replicate_after_s)}


def test_nothing_is_changed_by_deciding() -> None:
    lab = Lab("localhost")
    lab.worker("w")
    stamp = lab.fleet.stamp("hf:o/r")
    waiting = ticket(0), ticket(1), ticket(2)
    first, second = lab.decide(*waiting), lab.decide(*waiting)
    assert [each.turn for each, _ in first.placed] == [0, 1]
    assert first.placed == second.placed
    assert lab.fleet.stamp("hf:o/r") == stamp
