"""Which idle workers end for a model that has no room, and when models take turns."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rbee.contract.model_ref import parse
from rbee.contract.nodes import DeviceMemory, HeldModel, NodeFacts
from rbee.contract.workers import WorkerRow, WorkerState
from rbee.queen.nodes.fleet import ASK_AGAIN_S, Fleet, FleetWorker, Start
from rbee.queen.tasks.decide import LOOK_AGAIN_S, Crowded, Decision, Full, Nowhere, Spot, decide
from rbee.queen.tasks.fairness import Accounts
from rbee.queen.tasks.room import Rules, free_bytes
from rbee.queen.tasks.wants import Refusal, Ticket, Want
from tests.queen.tasks.conftest import histories

GB = 1_000_000_000
NOW, LONG_AGO = 1000.0, 1.0
RULES = Rules(swap_patience_s=20, replicate_after_s=0)


def reference(model: str) -> str:
    return f"hf:o/{model}/{model}.gguf"


class Lab:
    """Nodes with a card each, which all have the models a to d on disk; each needs 10 GB."""

    def __init__(self, *nodes: str, free: int = 0) -> None:
        self.fleet = Fleet()
        for name in nodes or ("localhost",):
            self.fleet.connected(name, 0)
            self.told(name, free)

    def told(
        self,
        name: str,
        free: int,
        models: str = "abcd",
        needs: int = 10 * GB,
        now: float = NOW - 500,
    ) -> None:
        memory = [DeviceMemory("cuda", 0, "card", 40 * GB, free * GB)]
        held = [HeldModel(reference(model), None, GB, needs) for model in models]
        there = self.fleet.nodes[name].workers.values()
        counted = [each.row.id for each in there if each.ready_at is not None]
        facts = NodeFacts(["cuda", "cpu"], {"cuda": 1, "cpu": 1}, memory, held, GB, counted=counted)
        self.fleet.told(name, facts, now)

    def worker(
        self,
        model: str,
        node: str = "localhost",
        state: WorkerState = "idle",
        used: float = 0.0,
        frees: int = 10,
        pinned: bool = False,
        ready_at: float = LONG_AGO,
        is_counted: bool = True,
    ) -> FleetWorker:
        """One that was there when its node told its facts, unless it loads or is not counted."""
        free = 1 if state == "idle" else 0
        name = f"{model}@{node}"
        place = "http://w", reference(model), "cuda", 0, state, used, None, 1, free
        row = WorkerRow(name, *place, frees_bytes=frees * GB, pinned=pinned)
        self.fleet.worker_told(node, row, ready_at)
        found = self.fleet.worker(node, name)
        assert found is not None
        at = self.fleet.nodes[node]
        if is_counted and state != "loading" and at.facts is not None:
            facts = replace(at.facts, counted=[*at.facts.counted, name])
            self.fleet.told(node, facts, at.told_at)
        return found

    def decide(self, *tickets: Ticket, now: float = NOW, rules: Rules = RULES) -> Decision:
        lines: dict[Want, dict[str, dict[int, Ticket]]] = {}
        for ticket in sorted(tickets, key=lambda each: each.turn):
            lines.setdefault(ticket.want, {}).setdefault(ticket.key, {})[ticket.turn] = ticket
        return decide(self.fleet, lines, Accounts(), now, rules)

    def ended_for(self, ticket: Ticket, now: float = NOW) -> list[str]:
        """The workers that end for a task that comes alone."""
        [(_, spot)] = self.decide(ticket, now=now).placed
        return [worker.row.id for worker in spot.ends]


def ticket(
    model: str, turn: int = 0, since: float = NOW, node: str | None = "localhost", **more: object
) -> Ticket:
    want = Want(parse(reference(model)), node, **more)  # type: ignore[arg-type]
    return Ticket("k", want, turn, since)


def models(placed: Iterable[tuple[Ticket, Spot]]) -> list[str]:
    return [str(ticket.want.model.name).removeprefix("o/") for ticket, _ in placed]


def test_the_worker_that_was_used_least_recently_ends() -> None:
    lab = Lab()
    for model, used in (("a", 30), ("b", 10), ("c", 20)):
        lab.worker(model, used=used)
    assert lab.ended_for(ticket("d")) == ["b@localhost"]


def test_nobody_ends_where_there_is_room() -> None:
    lab = Lab(free=10)
    lab.worker("a")
    assert lab.ended_for(ticket("d")) == []


def free(lab: Lab, *counted: str) -> int:
    """In GB, on the card that was seen with 20 GB free, and with these workers on it."""
    node = lab.fleet.nodes["localhost"]
    if node.facts is None:
        lab.told("localhost", 20)
    assert node.facts is not None
    lab.fleet.told("localhost", replace(node.facts, counted=list(counted)), NOW)
    return free_now(lab)


def free_now(lab: Lab) -> int:
    node = lab.fleet.nodes["localhost"]
    assert node.facts is not None
    return free_bytes(lab.fleet, node, node.facts.memory[0]) // GB


def test_memory_that_was_seen_before_a_worker_had_it_is_without_its_needs() -> None:
    lab = Lab(free=20)
    lab.worker("a")
    lab.worker("b", state="loading")
    assert free(lab) == 0
    assert free(lab, "a@localhost") == 10
    assert free(lab, "a@localhost", "b@localhost") == 20


def test_memory_that_was_seen_before_a_worker_ended_is_with_what_that_had() -> None:
    lab = Lab(free=20)
    lab.worker("a")
    assert free(lab, "a@localhost") == 20
    lab.fleet.worker_gone("localhost", "a@localhost")
    assert free_now(lab) == 30
    assert free(lab, "a@localhost") == 30  # told again, and not seen again
    assert free(lab) == 20
    lab.worker("b", is_counted=False)
    lab.fleet.worker_gone("localhost", "b@localhost")
    assert free_now(lab) == 20  # it was never counted


def test_what_a_hive_said_before_it_was_lost_counts_no_more() -> None:
    lab = Lab(free=20)
    lab.worker("a")
    assert free(lab, "a@localhost") == 20
    lab.fleet.connected("localhost", NOW)
    assert free(lab, "a@localhost") == 20


def test_the_fewest_that_suffice_end() -> None:
    lab = Lab()
    for model, used, frees in (("a", 10, 4), ("b", 20, 4), ("c", 30, 10)):
        lab.worker(model, used=used, frees=frees)
    assert lab.ended_for(ticket("d")) == ["c@localhost"]
    lab.told("localhost", 3)
    lab.worker("c", used=30, frees=5)
    assert lab.ended_for(ticket("d")) == ["a@localhost", "b@localhost"]


@pytest.mark.parametrize("state", ["busy", "loading", "unhealthy"])
def test_one_that_is_not_idle_is_waited_for(state: WorkerState) -> None:
    lab = Lab()
    worker = lab.worker("a", state=state)
    waiting = ticket("d")
    decision = lab.decide(waiting)
    assert decision.placed == []
    assert decision.held == {waiting.want: Crowded(1, NOW + LOOK_AGAIN_S)}
    if state != "loading":
        lab.fleet.worker_told("localhost", replace(worker.row, state="idle", slots_available=1), 1)
        assert lab.ended_for(waiting) == ["a@localhost"]


def test_one_that_a_task_of_ours_goes_to_is_not_idle() -> None:
    lab = Lab()
    worker = lab.worker("a")
    lab.fleet.claim(worker, NOW)
    assert lab.decide(ticket("d")).placed == []
    lab.fleet.release(worker)
    assert lab.ended_for(ticket("d")) == ["a@localhost"]


def test_one_that_was_used_after_all_is_asked_again_a_moment_later() -> None:
    lab = Lab()
    lab.fleet.refused(lab.worker("a"), NOW)
    assert lab.decide(ticket("d")).placed == []
    assert lab.ended_for(ticket("d"), NOW + ASK_AGAIN_S) == ["a@localhost"]


def test_an_idle_worker_ends_for_one_that_a_person_starts_but_not_one_of_that_model() -> None:
    lab = Lab()
    lab.worker("a", used=2)
    lab.worker("d", used=1)
    wanted = ticket("d", new=True)
    assert lab.ended_for(wanted) == ["a@localhost"]
    assert lab.ended_for(ticket("d", new=True, force=True)) == []
    lab.worker("a", state="busy")
    [(_, spot)] = lab.decide(wanted).placed  # nobody waits: the node says why it can't
    assert (spot.node, spot.ends, spot.start) == ("localhost", (), None)


def test_a_pinned_worker_never_ends_and_is_not_waited_for() -> None:
    lab = Lab()
    lab.worker("a", pinned=True, used=1)
    lab.worker("b", used=2)
    assert lab.ended_for(ticket("d")) == ["b@localhost"]
    lab.worker("b", used=2, pinned=True)
    [(_, spot)] = lab.decide(ticket("d")).placed
    assert (spot.node, spot.ends) == ("localhost", ())  # its hive says why it can't


def test_the_node_where_it_costs_least_is_chosen() -> None:
    lab = Lab("localhost", "one", "two")
    for model in "ab":
        lab.worker(model, used=5, frees=5)
    lab.worker("a", "one", used=20)
    lab.worker("a", "two", used=10)
    [(_, spot)] = lab.decide(ticket("d", node=None)).placed
    assert (spot.node, [worker.row.id for worker in spot.ends]) == ("two", ["a@two"])


def test_an_idle_worker_ends_rather_than_that_a_model_is_fetched_elsewhere() -> None:
    lab = Lab("localhost", "one")
    lab.told("one", 30, models="")
    worker = lab.worker("a")
    [(_, spot)] = lab.decide(ticket("d", node=None)).placed
    assert (spot.node, spot.ends) == ("localhost", (worker,))
    lab.worker("a", state="busy")
    [(_, spot)] = lab.decide(ticket("d", node=None)).placed
    assert (spot.node, spot.ends) == ("one", ())


def test_what_a_node_said_it_needs_counts() -> None:
    """Its facts said that it fits, or nothing."""
    lab = Lab(free=10)
    lab.worker("a")
    refused = ticket("d", refused=frozenset({Refusal("localhost", 12 * GB, 4 * GB)}))
    assert lab.ended_for(refused) == ["a@localhost"]
    lab.worker("a", pinned=True)
    decision = lab.decide(refused)
    [(_, nowhere)] = decision.nowhere
    assert isinstance(nowhere, Nowhere)
    assert nowhere.verdicts[0].reasons == ["4000 MB are free, the model needs 12000 MB"]


def test_nobody_ends_for_a_model_that_is_only_fetched() -> None:
    lab = Lab("localhost", "one")
    lab.told("one", 30, models="")
    lab.worker("a")
    assert lab.ended_for(ticket("d", node=None)) == ["a@localhost"]
    fetched = ticket("d", node=None, new=True, to_run=False, slot=False)
    assert lab.ended_for(fetched) == []


def test_whoever_forces_it_ends_nobody() -> None:
    lab = Lab()
    lab.worker("a")
    assert lab.ended_for(ticket("d", force=True)) == []


def test_memory_that_a_worker_loads_into_is_not_free_and_that_of_a_start_neither() -> None:
    lab = Lab(free=12)
    lab.worker("a", state="loading")
    assert lab.decide(ticket("b")).placed == []
    lab = Lab(free=12)
    start = Start("localhost", "cuda", 0, "hf:o/a", 10 * GB)
    lab.fleet.begin(start)
    assert lab.decide(ticket("b")).placed == []
    lab.fleet.finish(start)
    assert lab.ended_for(ticket("b")) == []


def test_a_second_task_waits_until_there_is_the_worker_that_room_is_made_for() -> None:
    lab = Lab()
    lab.worker("a")
    tasks = [ticket("b", 0), ticket("b", 1), ticket("c", 2)]
    decision = lab.decide(*tasks)
    assert models(decision.placed) == ["b"]
    assert set(decision.held) == {tasks[1].want, tasks[2].want}
    [(_, spot)] = decision.placed
    assert spot.start is not None
    lab.fleet.begin(spot.start, spot.ends)
    assert lab.decide(*tasks[1:]).placed == []
    assert lab.decide(ticket("a", 3)).placed == []  # its worker ends
    lab.fleet.finish(spot.start, spot.ends)
    assert models(lab.decide(ticket("a", 3)).placed) == ["a"]


def test_requests_for_the_loaded_model_go_first_until_the_patience_is_over() -> None:
    lab = Lab()
    lab.worker("a")
    a, b = ticket("a", 1), ticket("b", 0)
    decision = lab.decide(b, a)
    assert models(decision.placed) == ["a"]
    late = NOW + RULES.swap_patience_s
    assert models(lab.decide(b, a, now=late - 0.1).placed) == ["a"]
    decision = lab.decide(b, a, now=late)
    assert models(decision.placed) == ["b"]
    assert decision.held == {a.want: Full(1, late + ASK_AGAIN_S)}


def test_after_the_patience_no_new_task_goes_to_the_worker_that_must_end() -> None:
    lab = Lab()
    worker = lab.worker("a")
    worker.row = replace(worker.row, slots_total=2, slots_available=1, state="busy")
    worker.others = 1
    late = NOW + RULES.swap_patience_s
    a, b = ticket("a", 1), ticket("b", 0)
    decision = lab.decide(b, a, now=late)
    assert decision.placed == []
    assert decision.held[b.want] == Crowded(2, late + LOOK_AGAIN_S, ("a@localhost",))


def test_a_model_that_was_just_loaded_stays_for_the_patience_while_others_want_it() -> None:
    lab = Lab()
    lab.worker("a", ready_at=NOW - 5)
    a, b = ticket("a", 1), ticket("b", 0, since=NOW - 100)
    assert models(lab.decide(b, a).placed) == ["a"]
    assert models(lab.decide(b, a, now=NOW + RULES.swap_patience_s - 5).placed) == ["b"]
    assert models(lab.decide(b).placed) == ["b"]  # nobody wants it


class Simulation:
    """A card with room for `room` models, tasks that come at their times, and one decision each
    half second. Loads take a second."""

    def __init__(self, room: int, patience_s: float, tasks: list[tuple[str, float, float]]) -> None:
        self.lab = Lab(free=10 * room)
        self.rules = Rules(patience_s, 0)
        self.now = NOW
        self.coming = [
            (ticket(model, turn, NOW + at), length)
            for turn, (model, at, length) in enumerate(sorted(tasks, key=lambda task: task[1]))
        ]
        self.lengths = {each.turn: length for each, length in self.coming}
        self.waiting: list[Ticket] = []
        self.waits: list[float] = []
        self.loading: list[tuple[float, Ticket, Start]] = []
        self.running: list[tuple[float, FleetWorker]] = []
        self.free = 10 * room

    def run(self, for_s: float) -> None:
        end = self.now + for_s
        while (self.coming or self.waiting or self.loading or self.running) and self.now < end:
            self.step()
            self.now += 0.5

    def step(self) -> None:
        self.waiting += [each for each, _ in self.coming if each.since <= self.now]
        self.coming = [pair for pair in self.coming if pair[0].since > self.now]
        for at, worker in [each for each in self.running if each[0] <= self.now]:
            self.running.remove((at, worker))
            self.lab.fleet.release(worker)
            self.change(worker, "idle")
        for at, loaded, start in [each for each in self.loading if each[0] <= self.now]:
            self.loading.remove((at, loaded, start))
            model = models([(loaded, Spot("localhost", None, []))])[0]
            worker = self.lab.worker(model, used=self.now, ready_at=self.now, is_counted=False)
            self.lab.fleet.finish(start)
            self.serve(loaded, worker)
        decision = self.lab.decide(*self.waiting, now=self.now, rules=self.rules)
        wanted = {each.want for each in self.waiting}
        assert not decision.nowhere
        for served, spot in decision.placed:
            self.waiting.remove(served)
            if spot.worker is not None:
                self.serve(served, spot.worker)
            elif spot.start is not None:
                self.end(spot.ends, wanted)
                self.free -= 10
                assert self.free >= 0, "two models have the same memory"
                self.tell()
                self.lab.fleet.begin(spot.start)
                self.loading.append((self.now + 1, served, spot.start))
            else:  # it joins
                self.waiting.append(served)

    def serve(self, served: Ticket, worker: FleetWorker) -> None:
        assert worker.free > 0
        self.waits.append(self.now - served.since)
        self.lab.fleet.claim(worker, self.now)
        self.change(worker, "busy")
        self.running.append((self.now + self.lengths[served.turn], worker))

    def end(self, workers: Iterable[FleetWorker], wanted: set[Want]) -> None:
        for worker in workers:
            assert worker.row.state == "idle"
            assert worker.own == 0
            assert worker.ready_at is not None
            if parse(worker.row.model_ref) in [want.model for want in wanted]:
                assert self.now - worker.ready_at >= self.rules.swap_patience_s
            self.lab.fleet.worker_gone("localhost", worker.row.id)
            self.free += 10

    def change(self, worker: FleetWorker, state: WorkerState) -> None:
        free = 1 if state == "idle" else 0
        row = replace(worker.row, state=state, slots_available=free, last_activity=self.now)
        self.lab.fleet.worker_told("localhost", row, self.now)

    def tell(self) -> None:
        self.lab.told("localhost", self.free + 10 * len(self.loading))
        self.lab.fleet.nodes["localhost"].told_at = self.now


@settings(max_examples=histories(60), deadline=None)
@given(
    room=st.integers(1, 2),
    patience_s=st.sampled_from([0.0, 2.0, 10.0]),
    tasks=st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 60), st.floats(0.5, 5)),
        min_size=1,
        max_size=40,
    ),
)
def test_nobody_starves_and_no_worker_ends_that_is_used(
    room: int, patience_s: float, tasks: list[tuple[str, float, float]]
) -> None:
    """Each task waits for the patience, the longest answer and a load of each model at most, and
    for the answers that go before it."""
    simulation = Simulation(room, patience_s, tasks)
    simulation.run(for_s=2000)
    assert len(simulation.waits) == len(tasks)
    rounds = 1 + len(tasks)
    assert max(simulation.waits) <= rounds * (patience_s + 5 + 2) + 1


def test_a_flood_for_the_loaded_model_holds_up_nobody_longer_than_the_patience() -> None:
    """Of the longest answer and a load on top."""
    flood = [("a", index * 0.5, 1.0) for index in range(200)]
    simulation = Simulation(1, 10.0, [*flood, ("b", 5.0, 1.0)])
    waits: dict[str, float] = {}
    serve = simulation.serve

    def noting(served: Ticket, worker: FleetWorker) -> None:
        waits.setdefault(worker.row.model_ref[-6:], simulation.now - served.since)
        serve(served, worker)

    simulation.serve = noting  # type: ignore[method-assign]
    simulation.run(for_s=400)
    assert waits["b.gguf"] <= 10 + 1 + 1 + 1


def test_what_a_node_refused_counts_until_it_tells_more() -> None:
    """The worker that had the memory has ended by itself."""
    lab = Lab(free=1)
    lab.worker("a", state="busy")
    refused = frozenset({Refusal("localhost", 10 * GB, GB, NOW)})
    want = Want(parse(reference("b")), "localhost", refused=refused)
    ticket = Ticket("k", want, 0, NOW - 30)
    assert isinstance(held(lab, ticket, NOW), Crowded)
    lab.fleet.worker_gone("localhost", "a@localhost")
    assert isinstance(held(lab, ticket, NOW + 2), Crowded)  # it will tell what that has freed
    lab.told("localhost", 11, now=NOW + 3)
    [(_, spot)] = placed(lab, ticket, NOW + 3)
    assert (spot.node, spot.ends) == ("localhost", ())


def test_a_model_that_fits_nowhere_is_refused_also_when_a_worker_has_just_ended() -> None:
    lab = Lab("localhost", "far")
    for node in ("localhost", "far"):
        lab.told(node, 1, "b", needs=1000 * GB)
    lab.worker("a", state="busy")
    lab.fleet.worker_gone("localhost", "a@localhost")
    ticket = Ticket("k", Want(parse(reference("b"))), 0, NOW - 30)
    decision = decide(lab.fleet, lines(ticket), Accounts(), NOW + 1, RULES)
    assert [isinstance(each, Nowhere) for _, each in decision.nowhere] == [True]


def test_a_worker_that_was_not_counted_has_freed_nothing_that_a_node_refused() -> None:
    lab = Lab(free=1)
    lab.worker("a", state="busy", is_counted=False)
    refused = frozenset({Refusal("localhost", 10 * GB, GB, NOW)})
    ticket = Ticket("k", Want(parse(reference("b")), "localhost", refused=refused), 0, NOW - 30)
    lab.fleet.worker_gone("localhost", "a@localhost")
    decision = decide(lab.fleet, lines(ticket), Accounts(), NOW + 1, RULES)
    assert [isinstance(each, Nowhere) for _, each in decision.nowhere] == [True]


def test_what_a_model_needs_is_not_more_because_it_was_told_in_mb() -> None:
    """The memory of the other one, to the byte, is enough for it."""
    lab = Lab()
    worker = lab.worker("a")
    needs = 10 * GB - 451_648
    worker.row = replace(worker.row, frees_bytes=needs)
    lab.told("localhost", 0, needs=needs)
    refused = frozenset({Refusal("localhost", 10 * GB, 0, NOW)})
    [(_, spot)] = placed(lab, ticket("b", since=NOW - 30, refused=refused), NOW)
    assert spot.ends == (worker,)


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_worker_of_which_it_is_not_known_whether_it_was_counted_is_waited_for(
    is_refused: bool,
) -> None:
    """The memory was seen while it loaded: it had all of it, some, or nothing yet."""
    lab = Lab(free=4)
    lab.told("localhost", 4, needs=12 * GB)
    worker = lab.worker("a", is_counted=False)
    refused = frozenset({Refusal("localhost", 12 * GB, 4 * GB, NOW)} if is_refused else ())
    asked = ticket("b", since=NOW - 30, refused=refused)
    assert held(lab, asked, NOW) == Crowded(1, NOW + LOOK_AGAIN_S)
    lab.told("localhost", 4, needs=12 * GB, now=NOW + 1)
    [(_, spot)] = placed(lab, asked, NOW + 1)
    assert spot.ends == (worker,)


@pytest.mark.parametrize(("free", "needs"), [(1, 12), (40, 45)])
def test_nobody_waits_for_a_worker_whose_memory_would_not_do_whenever_it_was_counted(
    free: int, needs: int
) -> None:
    """The card has 40 GB."""
    lab = Lab(free=free)
    lab.told("localhost", free, needs=needs * GB)
    lab.worker("a", is_counted=False)
    refused = frozenset({Refusal("localhost", needs * GB, GB, NOW)})
    asked = ticket("b", since=NOW - 30, refused=refused)
    decision = decide(lab.fleet, lines(asked), Accounts(), NOW, RULES)
    assert [isinstance(each, Nowhere) for _, each in decision.nowhere] == [True]


def lines(ticket: Ticket) -> dict[Want, dict[str, dict[int, Ticket]]]:
    return {ticket.want: {ticket.key: {ticket.turn: ticket}}}


def held(lab: Lab, ticket: Ticket, now: float) -> object:
    return decide(lab.fleet, lines(ticket), Accounts(), now, RULES).held.get(ticket.want)


def placed(lab: Lab, ticket: Ticket, now: float) -> list[tuple[Ticket, Spot]]:
    return decide(lab.fleet, lines(ticket), Accounts(), now, RULES).placed
