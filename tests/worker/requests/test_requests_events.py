"""What the engine yields, on its way to whom it is for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.errors import (
    Internal,
    RequestCanceled,
)
from rbee.contract.events import Done, Token
from rbee.contract.workers import WorkerStatus
from rbee.worker.requests import requests as module

DONE = Done(True, 1, 1.0, 1, 0, 1.0, 1.0, "EOS")


async def test_what_the_engine_yields_comes_in_order(house: Any) -> None:
    one, other = await house.enter("x"), await house.enter("y")
    house.requests.take([("x", Token("a", 0)), ("y", Token("k", 0)), ("x", Token("b", 1))])
    house.requests.take([("x", DONE)])
    assert [await house.requests.next(one) for _ in range(3)] == [
        Token("a", 0),
        Token("b", 1),
        DONE,
    ]
    assert await house.requests.next(other) == Token("k", 0)


async def test_vectors_are_an_end(house: Any) -> None:
    running = await house.enter("x")
    house.requests.take([("x", [[0.6, 0.8]])])
    assert await house.requests.next(running) == [[0.6, 0.8]]
    assert house.requests.status().state == "idle"
    assert house.outcomes() == {"done": 1}


async def test_what_comes_for_a_request_that_is_gone_is_nobodys(house: Any) -> None:
    before = list(house.told.all)
    house.requests.take([("gone", Token("a", 0)), ("gone", DONE), ("gone", None)])
    assert house.told.all == before
    assert house.outcomes() == {}


@pytest.mark.parametrize("last", [DONE, None, Internal(correlation_id="")])
async def test_the_slot_is_free_before_the_end_is_told(house: Any, last: Any) -> None:
    running = await house.enter("x")
    seen: list[WorkerStatus] = []

    class Looks(asyncio.Queue[Any]):
        def put_nowait(self, item: Any) -> None:
            seen.append(house.requests.status())
            super().put_nowait(item)

    running.yields = Looks()
    house.requests.take([("x", last)])
    assert seen == [WorkerStatus("idle", 2, 2)]


@pytest.mark.parametrize(
    ("last", "outcome"),
    [(DONE, "done"), (None, "canceled"), (Internal(correlation_id=""), "failed")],
)
async def test_a_request_is_released_once_however_it_ends(
    house: Any, last: Any, outcome: str
) -> None:
    await house.enter("x")
    house.requests.take([("x", Token("a", 0)), ("x", last), ("x", last)])
    assert house.requests.status() == WorkerStatus("idle", 2, 2)
    await house.leave("x")
    assert house.outcomes() == {outcome: 1}
    assert [state for state, _, _ in house.told.all] == ["idle", "busy", "idle"]
    assert house.engine.canceled == []


async def test_what_goes_wrong_is_raised(house: Any) -> None:
    running = await house.enter("x")
    house.requests.take([("x", Internal("It broke.", correlation_id="c"))])
    with pytest.raises(Internal, match="It broke"):
        await house.requests.next(running)


async def test_an_end_without_a_reason_is_a_cancel(house: Any) -> None:
    running = await house.enter("x")
    house.requests.take([("x", None)])
    with pytest.raises(RequestCanceled):
        await house.requests.next(running)


async def test_times_are_counted_from_the_asking_and_between_tokens(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([10.0, 10.5, 10.75, 11.75, 12.0])
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    running = await house.enter("x")
    assert running.asked_at == 10.0
    for index in range(3):
        house.requests.take([("x", Token("a", index))])
    house.requests.take([("x", DONE)])
    text = house.requests.metrics.text()
    assert "rbee_time_to_first_token_seconds_count 1.0" in text
    assert "rbee_time_to_first_token_seconds_sum 0.5" in text
    assert "rbee_time_per_token_seconds_count 2.0" in text
    assert "rbee_time_per_token_seconds_sum 1.25" in text
