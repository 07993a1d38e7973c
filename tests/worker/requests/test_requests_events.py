"""The engine's outputs on their way to their requests."""

from __future__ import annotations

from typing import Any

import pytest

from rbee.contract.errors import (
    Internal,
    RequestCanceled,
)
from rbee.contract.events import Done, Token
from rbee.contract.workers import WorkerStatus

DONE = Done(True, 1, 1.0, 1, 0, 1.0, 1.0, "EOS")


async def test_outputs_come_in_order(house: Any) -> None:
    one, other = await house.enter("x"), await house.enter("y")
    house.take(("x", Token("a", 0)), ("y", Token("k", 0)), ("x", Token("b", 1)))
    house.take(("x", DONE))
    assert [await one.next() for _ in range(3)] == [
        Token("a", 0),
        Token("b", 1),
        DONE,
    ]
    assert await other.next() == Token("k", 0)


async def test_vectors_are_a_last_output(house: Any) -> None:
    request = await house.enter("x")
    house.take(("x", [[0.6, 0.8]]))
    assert await request.next() == [[0.6, 0.8]]
    assert house.requests.status().state == "idle"
    assert house.outcomes() == {"done": 1}


async def test_outputs_of_a_request_that_has_ended_go_nowhere(house: Any) -> None:
    request = await house.enter("x")
    house.take(("x", DONE))
    before = list(house.told.all)
    house.take(("x", Token("a", 0)), ("x", DONE), ("x", RequestCanceled()))
    assert house.told.all == before
    assert house.outcomes() == {"done": 1}
    assert request.outputs.qsize() == 1


@pytest.mark.parametrize("last", [DONE, RequestCanceled(), Internal(correlation_id="")])
async def test_the_slot_is_free_before_the_end_comes(house: Any, last: Any) -> None:
    request = await house.enter("x")
    ended: list[bool] = []
    house.told.on_send = lambda: ended.append(not request.outputs.empty())
    house.take(("x", last))
    assert ended == [False]
    assert house.told.all[-1] == ("idle", 2, None)
    assert not request.outputs.empty()


@pytest.mark.parametrize(
    ("last", "outcome"),
    [(DONE, "done"), (RequestCanceled(), "canceled"), (Internal(correlation_id=""), "failed")],
)
async def test_a_request_is_released_once_however_it_ends(
    house: Any, last: Any, outcome: str
) -> None:
    await house.enter("x")
    house.take(("x", Token("a", 0)), ("x", last), ("x", last))
    assert house.requests.status() == WorkerStatus("idle", 2, 2)
    await house.leave("x")
    assert house.outcomes() == {outcome: 1}
    assert [state for state, _, _ in house.told.all] == ["idle", "busy", "idle"]
    assert house.engine.canceled == []


async def test_an_error_is_raised(house: Any) -> None:
    request = await house.enter("x")
    house.take(("x", Internal("It broke.", correlation_id="c")))
    with pytest.raises(Internal, match="It broke"):
        await request.next()


async def test_a_cancel_is_raised(house: Any) -> None:
    request = await house.enter("x")
    house.take(("x", RequestCanceled()))
    with pytest.raises(RequestCanceled):
        await request.next()


async def test_times_are_counted_from_the_arrival_and_between_tokens(house: Any) -> None:
    house.now = 10.0
    request = await house.enter("x")
    assert request.arrived_at == 10.0
    for index, moment in enumerate([10.5, 10.75, 11.75]):
        house.now = moment
        house.take(("x", Token("a", index)))
    house.now = 12.0
    house.take(("x", DONE))
    text = house.requests.metrics.text()
    assert "rbee_time_to_first_token_seconds_count 1.0" in text
    assert "rbee_time_to_first_token_seconds_sum 0.5" in text
    assert "rbee_time_per_token_seconds_count 2.0" in text
    assert "rbee_time_per_token_seconds_sum 1.25" in text
