"""Which requests get a slot, and the events that listeners get."""

from __future__ import annotations

from typing import Any

import pytest

from rbee.contract.errors import (
    AllSlotsBusy,
    InvalidRequest,
    PromptTooLong,
)
from rbee.contract.events import Done, Token
from rbee.contract.workers import WorkerStatus
from rbee.runtime.broadcast import Broadcast
from rbee.worker.requests.requests import Requests

DONE = Done(True, 1, 1.0, 1, 0, 1.0, 1.0, "EOS")


async def test_a_worker_that_loads_takes_nothing_and_says_so() -> None:
    requests = Requests(2, "file:/m.gguf", Broadcast())
    assert requests.status() == WorkerStatus("loading", 2, 0)
    with pytest.raises(AllSlotsBusy, match="loading") as caught:
        _ = requests.loaded
    assert caught.value.details == {"slots_total": 2, "slots_busy": 2, "waiting": 0}


async def test_a_worker_that_loads_has_made_nothing() -> None:
    requests = Requests(2, "file:/m.gguf", Broadcast())
    assert "rbee_tokens_generated_total 0.0" in requests.metrics.text()


async def test_a_worker_is_idle_once_it_is_loaded(house: Any) -> None:
    assert house.requests.status() == WorkerStatus("idle", 2, 2)
    assert house.told.all == [("idle", 2, None)]
    assert "rbee_tokens_generated_total 7.0" in house.requests.metrics.text()


async def test_a_slot_is_taken_before_any_work(house: Any) -> None:
    await house.enter("x", submit=False)
    assert house.requests.status() == WorkerStatus("busy", 2, 1)
    assert house.told.all[-1] == ("busy", 1, None)
    assert house.engine.submitted == []


async def test_without_a_free_slot_a_request_is_refused_before_any_work(house: Any) -> None:
    await house.enter("x", submit=False)
    await house.enter("y", submit=False)
    with pytest.raises(AllSlotsBusy) as caught:
        await house.enter("z")
    assert caught.value.details == {"slots_total": 2, "slots_busy": 2, "waiting": 0}
    assert house.engine.submitted == []
    assert house.outcomes() == {"refused": 1}
    assert house.requests.status().slots_available == 0


async def test_an_id_that_runs_is_refused_and_the_first_runs_on(house: Any) -> None:
    first = await house.enter("x")
    with pytest.raises(InvalidRequest) as caught:
        await house.enter("x")
    [error] = caught.value.details["errors"]
    assert (error["field"], error["value"]) == ("request_id", "x")
    assert len(house.engine.submitted) == 1
    house.take(("x", Token("a", 0)))
    assert await first.next() == Token("a", 0)


async def test_an_id_is_free_again_once_its_request_has_ended(house: Any) -> None:
    await house.enter("x")
    house.take(("x", DONE))
    await house.leave("x")
    await house.enter("x")
    assert house.requests.status().slots_available == 1


async def test_a_request_without_an_id_is_given_one(house: Any) -> None:
    async with house.requests.admitted(None) as one, house.requests.admitted(None) as other:
        assert one.id
        assert one.id != other.id


async def test_room_is_reserved_of_what_others_have_left(house: Any) -> None:
    first = await house.enter("x", submit=False)
    house.requests.reserve(first, 30, 30)
    assert first.room == 60
    house.submit(first)
    second = await house.enter("y", submit=False)
    with pytest.raises(AllSlotsBusy, match="60 of the context's 100") as caught:
        house.requests.reserve(second, 30, 30)
    assert caught.value.details["slots_total"] == 2
    house.requests.reserve(second, 30, 10)
    assert second.room == 40
    with pytest.raises(PromptTooLong):
        house.requests.reserve(second, 100, 1)


async def test_room_that_a_request_only_asked_for_is_not_taken(house: Any) -> None:
    first = await house.enter("x", submit=False)
    house.requests.reserve(first, 50, 50)
    second = await house.enter("y", submit=False)
    house.requests.reserve(second, 50, 50)
    assert second.room == 100


async def test_embeddings_take_no_room_from_answers(house: Any) -> None:
    await house.enter("texts")
    other = await house.enter("x", submit=False)
    house.requests.reserve(other, 50, 50)
    assert other.room == 100


async def test_every_change_is_sent_with_the_keep_alive_of_the_last_request(house: Any) -> None:
    await house.enter("x", keep_alive=60.0)
    await house.enter("y", keep_alive=5.0)
    house.take(("x", DONE))
    house.take(("y", DONE))
    await house.enter("z")
    house.take(("z", DONE))
    assert house.told.all == [
        ("idle", 2, None),
        ("busy", 1, None),
        ("busy", 1, 60.0),
        ("busy", 0, 60.0),
        ("busy", 0, 5.0),
        ("busy", 1, 5.0),
        ("idle", 2, 5.0),
        ("busy", 1, 5.0),
        ("busy", 1, None),
        ("idle", 2, None),
    ]
