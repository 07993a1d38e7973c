"""Tasks that wait for a slot: sent on their way one after the other, told their places, forgotten
by nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from typing import TypeVar

import pytest

from rbee.contract.errors import AllSlotsBusy, QueueFull, RbeeError
from rbee.contract.events import Queued
from rbee.contract.model_ref import parse
from rbee.contract.nodes import DeviceMemory, HeldModel, NodeFacts
from rbee.contract.workers import WorkerRow
from rbee.queen.nodes.fleet import Fleet, FleetWorker
from rbee.queen.tasks.decide import Spot
from rbee.queen.tasks.dispatcher import Dispatcher, NowhereError, Turn
from rbee.queen.tasks.room import Rules
from rbee.queen.tasks.wants import Want
from rbee.runtime.keyring import OPERATOR, Caller

T = TypeVar("T")
FILE = "hf:o/r/m.gguf"
WANT = Want(parse("hf:o/r"), "localhost")


def row(slots: int = 1, free: int = 1, name: str = "w") -> WorkerRow:
    return WorkerRow(name, "http://w", FILE, "cpu", 0, "idle", None, None, slots, free)


async def soon(coming: Awaitable[T]) -> T:
    async with asyncio.timeout(5):
        return await coming


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Lab:
    """This machine, with a worker that has one slot."""

    def __init__(self, limit: int = 8, slots: int = 1, operator_weight: float = 1.0) -> None:
        self.fleet = Fleet()
        self.fleet.connected("localhost", 0)
        self.fleet.worker_told("localhost", row(slots, slots), 0)
        self.dispatcher = Dispatcher(self.fleet, limit, operator_weight)
        self.callers: dict[str, Caller] = {"operator": OPERATOR}
        self.told: dict[str, list[Queued]] = {}

    @property
    def worker(self) -> FleetWorker:
        worker = self.fleet.worker("localhost", "w")
        assert worker is not None
        return worker

    def come(self, name: str, key: str = "a", want: Want = WANT) -> tuple[Turn, asyncio.Task[Spot]]:
        told: list[Queued] = []
        self.told[name] = told
        caller = self.callers.setdefault(key, Caller(key, "use"))
        turn = self.dispatcher.enter(caller, told.append)
        return turn, asyncio.create_task(turn.next(want))

    async def served(self, name: str, key: str = "a") -> Turn:
        """One that has the slot."""
        turn, going = self.come(name, key)
        spot = await soon(going)
        assert spot.worker is self.worker
        turn.accepted()
        return turn

    def places(self) -> dict[str, list[str]]:
        return {
            name: [f"{each.position} of {each.waiting}" for each in told]
            for name, told in self.told.items()
            if told
        }


class BrokenFleet(Fleet):
    """Nothing can be found in it until it is whole."""

    is_whole = False

    def references(self, repository: str) -> Collection[str]:
        if not self.is_whole:
            raise KeyError(repository)
        return super().references(repository)


async def test_a_fault_of_ours_ends_those_who_wait_and_nobody_after_them() -> None:
    fleet = BrokenFleet()
    dispatcher = Dispatcher(fleet, 8)
    fleet.connected("localhost", 0)
    fleet.worker_told("localhost", row(), 0)
    for name in "ab":
        turn = dispatcher.enter(Caller(name, "use"), lambda _: None)
        with pytest.raises(KeyError):
            await soon(turn.next(WANT))
        turn.end(0)
    assert dispatcher.queue.waiting == 0
    fleet.is_whole = True
    spot = await soon(dispatcher.enter(Caller("a", "use"), lambda _: None).next(WANT))
    assert spot.worker is fleet.worker("localhost", "w")


async def test_a_worker_may_be_told_of_with_another_model() -> None:
    lab = Lab()
    other = WorkerRow("w", "http://w", "hf:o/other/m.gguf", "cpu", 0, "idle", None, None, 1, 1)
    lab.fleet.worker_told("localhost", other, 0)
    assert [each.row for each in lab.fleet.holding(other.model_ref)] == [other]
    assert [*lab.fleet.holding(FILE)] == []
    lab.fleet.lost("localhost")
    assert [*lab.fleet.holding(other.model_ref)] == []


async def test_a_free_slot_is_had_at_once_and_kept() -> None:
    lab = Lab()
    turn = await lab.served("one")
    assert (lab.worker.own, lab.worker.free) == (1, 0)
    assert lab.places() == {}
    turn.end(100)
    assert (lab.worker.own, lab.worker.free) == (0, 1)


async def test_who_waits_is_told_the_place_each_time_that_it_changes() -> None:
    lab = Lab()
    first = await lab.served("one")
    (two, _), (three, _), (four, going) = (lab.come(name) for name in ("two", "three", "four"))
    await settled()
    assert lab.dispatcher.queue.waiting == 3
    two.end(0)
    await settled()
    assert lab.places() == {
        "two": ["1 of 3"],
        "three": ["2 of 3", "1 of 2"],
        "four": ["3 of 3", "2 of 2"],
    }
    first.end(10)
    await settled()
    three.accepted()
    await settled()
    assert lab.places()["four"][2:] == ["1 of 1"]
    three.end(10)
    assert (await soon(going)).worker is lab.worker
    assert lab.dispatcher.queue.waiting == 1  # until it is accepted
    four.accepted()
    assert lab.dispatcher.queue.waiting == 0


async def test_a_key_that_floods_does_not_hold_up_others() -> None:
    lab = Lab()
    turn = await lab.served("first", "flood")
    waiting = {name: lab.come(name, name.rstrip("123")) for name in ("flood1", "flood2", "flood3")}
    waiting |= {name: lab.come(name, name) for name in ("b", "c")}
    order = []
    for _ in range(5):
        turn.end(600)
        await settled()
        [name] = [name for name, (_, going) in waiting.items() if going.done()]
        order.append(name)
        turn = waiting.pop(name)[0]
        turn.accepted()
    assert order[:2] == ["b", "c"] or order[:3] == ["flood1", "b", "c"]
    assert order[-1] == "flood3"


async def test_a_worker_that_refuses_is_asked_again_for_the_same_task() -> None:
    """Somebody else has the slot, and nobody tells when it is free."""
    lab = Lab()
    turn, going = lab.come("one")
    await soon(going)
    turn.refused()
    other, others = lab.come("two")
    again = asyncio.create_task(turn.next(WANT))
    await settled()
    assert not again.done()
    assert lab.places() == {"one": ["1 of 2"], "two": ["2 of 2"]}
    assert (await soon(again)).worker is lab.worker
    assert not others.done()
    turn.refused()
    again = asyncio.create_task(turn.next(WANT))
    await settled()
    lab.fleet.worker_told("localhost", row(), asyncio.get_running_loop().time())
    await settled()
    assert again.done()
    assert lab.places() == {"one": ["1 of 2"], "two": ["2 of 2"]}
    for each in (turn, other):
        each.end(1)


async def test_more_than_the_limit_may_not_wait() -> None:
    lab = Lab(limit=2, slots=2)
    served = [await lab.served(name) for name in ("one", "two")]
    waiting = [lab.come(name) for name in ("three", "four")]
    await settled()
    with pytest.raises(QueueFull) as caught:
        await soon(lab.come("five")[1])
    assert caught.value.details == {"slots_total": 2, "slots_busy": 2, "waiting": 2}
    waiting[0][0].end(0)
    late, going = lab.come("six")
    await settled()
    assert not going.done()
    assert lab.dispatcher.queue.waiting == 2
    for turn in (*served, waiting[1][0], late):
        turn.end(1)
    assert lab.dispatcher.queue.waiting == 0


async def test_more_than_a_keys_own_limit_may_not_wait_and_others_may() -> None:
    lab = Lab()
    lab.callers["a"] = Caller("a", "use", queue_limit=1)
    served = await lab.served("one")  # it waits no longer
    waiting = [lab.come("two"), lab.come("three", "b")]
    await settled()
    with pytest.raises(QueueFull) as caught:
        await soon(lab.come("four")[1])
    assert caught.value.details == {
        "slots_total": 1,
        "slots_busy": 1,
        "waiting": 1,
        "key": "a",
        "queue_limit": 1,
    }
    assert "of the key a are waiting" in caught.value.message
    assert caught.value.retry_after_s == 1
    assert "auth change a --queue-limit" in caught.value.advice
    lab.callers["a"].queue_limit = 2
    waiting.append(lab.come("five"))
    await settled()
    assert not waiting[-1][1].done()
    lab.callers["a"].queue_limit = 0  # who waits already goes on
    with pytest.raises(QueueFull):
        await soon(lab.come("six")[1])
    for turn in (served, *(turn for turn, _ in waiting)):
        turn.end(1)
    assert lab.dispatcher.queue.waiting == 0
    lab.callers["a"].queue_limit = 1
    served = await lab.served("seven")
    again, going = lab.come("eight")
    await settled()
    assert not going.done()
    for turn in (served, again):
        turn.end(1)


async def test_the_queens_own_limit_is_named_where_it_is_the_one() -> None:
    lab = Lab(limit=1)
    lab.callers["a"] = Caller("a", "use", queue_limit=5)
    served, waiting = await lab.served("one"), lab.come("two", "b")
    await settled()
    with pytest.raises(QueueFull) as caught:
        await soon(lab.come("three")[1])
    assert caught.value.details == {"slots_total": 1, "slots_busy": 1, "waiting": 1}
    for turn in (served, waiting[0]):
        turn.end(1)


async def test_weights_are_those_of_the_callers_and_of_the_operator() -> None:
    lab = Lab(limit=9, operator_weight=8)
    lab.callers["b"] = Caller("b", "use", weight=4)
    served = await lab.served("one", "c")
    turns = [
        lab.come(f"{key}{number}", key)[0] for key in ("a", "b", "operator") for number in (1, 2, 3)
    ]
    await settled()
    last = {name: places[-1].partition(" ")[0] for name, places in lab.places().items()}
    order = sorted(last, key=lambda name: int(last[name]))
    assert order == ["a1", "b1", "operator1", "operator2", "b2", "operator3", "b3", "a2", "a3"]
    for turn in (served, *turns):
        turn.end(1)


async def test_where_nobody_may_wait_all_slots_are_busy() -> None:
    lab = Lab(limit=0)
    await lab.served("one")
    with pytest.raises(AllSlotsBusy):
        await soon(lab.come("two")[1])


async def test_where_no_node_can_that_is_raised() -> None:
    lab = Lab()
    lab.fleet.know("localhost", ["cpu"])
    with pytest.raises(NowhereError) as caught:
        await soon(lab.come("one", want=Want(parse("hf:o/r"), backend="cuda"))[1])
    assert caught.value.verdicts[0].reasons == ["it has no cuda, only cpu"]


async def test_a_worker_that_nobody_has_told_of_yet_counts() -> None:
    lab = Lab()
    turn, going = lab.come("one", want=Want(parse("hf:o/other"), "localhost"))
    assert (await soon(going)).worker is None
    turn.use(
        "localhost", WorkerRow("new", "u", "hf:o/other/x.gguf", "cpu", 0, "idle", None, None, 1, 1)
    )
    new = lab.fleet.worker("localhost", "new")
    assert new is not None
    assert new.own == 1
    turn.use("localhost", row())
    assert (new.own, lab.worker.own) == (0, 1)
    turn.end(5)
    assert lab.worker.own == 0


async def test_a_worker_that_has_ended_is_not_one_of_the_fleet_again() -> None:
    """A task was on its way to it, or its hive told late that it had been there."""
    lab = Lab()
    turn, going = lab.come("one")
    assert (await soon(going)).worker is lab.worker
    lab.fleet.worker_gone("localhost", "w")
    turn.use("localhost", row())
    other, coming = lab.come("one", want=Want(parse("hf:o/other"), "localhost"))
    assert (await soon(coming)).worker is None
    other.use("localhost", row())
    assert lab.fleet.worker("localhost", "w") is None
    turn.end(0)
    other.end(0)
    lab.fleet.worker_told("localhost", row(), 0.0)  # by its hive, which is connected anew
    assert lab.fleet.worker("localhost", "w") is not None


async def test_a_slot_is_kept_of_a_worker_that_is_told_of_anew() -> None:
    lab = Lab()
    turn, going = lab.come("one")
    before = (await soon(going)).worker
    assert before is not None
    lab.fleet.connected("localhost", 0.0)
    lab.fleet.worker_told("localhost", row(), 0.0)
    anew = lab.fleet.worker("localhost", "w")
    assert anew is not None and anew.own == 0
    turn.use("localhost", row())
    assert (anew.own, before.own) == (1, 0)
    turn.end(0)
    assert anew.own == 0


async def test_a_worker_that_ends_lets_nobody_wait_for_ever() -> None:
    lab = Lab()
    served = await lab.served("one")
    waiting, going = lab.come("two")
    await settled()
    assert not going.done()
    lab.fleet.worker_gone("localhost", "w")
    assert (await soon(going)).worker is None
    for turn in (served, waiting):
        turn.end(1)


async def test_many_come_and_go_and_every_slot_is_given_back() -> None:
    """Some are canceled while they wait, some are refused, some end well."""
    lab = Lab(limit=1000, slots=3)
    ended: list[int] = []

    async def live(number: int) -> None:
        turn = lab.dispatcher.enter(Caller(f"key{number % 7}", "use"), lambda _: None)
        try:
            async with asyncio.timeout(0.05 if number % 5 == 0 else 20):
                while True:
                    await turn.next(WANT)
                    assert lab.worker.own <= 3
                    if number % 11:
                        break
                    number += 1
                    turn.refused()
                turn.accepted()
                await asyncio.sleep(0.001)
        except (TimeoutError, RbeeError):
            return
        finally:
            turn.end(number)
            ended.append(number)
            told = row(3, max(0, 3 - lab.worker.own))
            lab.fleet.worker_told("localhost", told, asyncio.get_running_loop().time())

    await soon(asyncio.gather(*(live(number) for number in range(300))))
    assert len(ended) == 300
    assert (lab.dispatcher.queue.waiting, lab.worker.own) == (0, 0)


# Models that don't fit beside each other


def other_row(state: str = "idle", model: str = FILE) -> WorkerRow:
    free = 1 if state == "idle" else 0
    place = "http://w", model, "cpu", 0, state, None, None, 1, free
    return WorkerRow("w", *place, frees_bytes=100)  # type: ignore[arg-type]


class Crowd(Lab):
    """This machine, whose worker has all the memory; another model needs as much."""

    def __init__(self, patience_s: float) -> None:
        super().__init__()
        memory = [DeviceMemory("cpu", 0, "RAM", 100, 0)]
        models = [HeldModel(each, None, 1, 100) for each in (FILE, OTHER_FILE)]
        facts = NodeFacts(["cpu"], {"cpu": 1}, memory, models, 1)
        self.fleet.told("localhost", facts, 1)
        self.fleet.worker_told("localhost", other_row(), 0)
        self.dispatcher = Dispatcher(self.fleet, 8, rules=Rules(patience_s, 0))


OTHER_FILE = "hf:o/other/x.gguf"
OTHER = Want(parse(OTHER_FILE), "localhost")


async def test_who_waits_for_room_is_told_a_place_and_goes_when_a_worker_is_idle() -> None:
    lab = Crowd(patience_s=60)
    served = await lab.served("one")
    turn, going = lab.come("other", want=OTHER)
    await settled()
    assert lab.places() == {"other": ["1 of 1"]}
    served.end(1)
    spot = await soon(going)
    assert spot.ends == (lab.worker,)
    assert lab.worker.is_ending
    assert lab.worker.free == 0
    turn.end(0)  # the reader has gone: the worker stays
    assert not lab.worker.is_ending
    assert lab.fleet.starts == []


async def test_a_worker_that_is_kept_serves_again_when_its_line_has_gone() -> None:
    lab = Crowd(patience_s=0)
    first = await lab.served("one")
    waiting, _ = lab.come("other", want=OTHER)
    await settled()
    second, going = lab.come("two")
    await settled()
    first.end(1)
    await settled()
    assert not going.done()  # whoever wants the other model goes first
    waiting.end(0)
    assert (await soon(going)).worker is lab.worker
    second.end(1)


async def test_one_that_is_used_after_all_is_not_ended() -> None:
    lab = Crowd(patience_s=60)
    turn, going = lab.come("other", want=OTHER)
    [worker] = (await soon(going)).ends
    turn.kept(worker)
    again = asyncio.create_task(turn.next(OTHER))
    await settled()
    assert not again.done()
    assert not worker.is_ending
    assert (await soon(again)).ends == (worker,)  # nobody has told of a task since
    turn.end(0)
