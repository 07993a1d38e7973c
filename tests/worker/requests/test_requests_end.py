"""Who stops a request, and how the worker's own end waits for the last."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rbee.contract.errors import (
    InvalidRequest,
    RequestCanceled,
    ShuttingDown,
)
from rbee.contract.events import Done, Token
from rbee.contract.workers import WorkerStatus

DONE = Done(True, 1, 1.0, 1, 0, 1.0, 1.0, "EOS")


async def test_a_cancel_before_the_begin_keeps_the_work_from_the_engine(house: Any) -> None:
    running = await house.enter("x", begin=False)
    house.requests.cancel("x")
    assert house.engine.orders == []
    with pytest.raises(RequestCanceled):
        house.begin(running)
    await house.leave("x")
    assert house.engine.orders == []
    assert house.requests.status() == WorkerStatus("idle", 2, 2)


async def test_a_cancel_after_the_begin_is_the_engines_and_holds_the_slot_until_it_is_done(
    house: Any,
) -> None:
    running = await house.enter("x")
    house.requests.cancel("x")
    assert house.engine.canceled == ["x"]
    assert house.requests.status().slots_available == 1
    house.requests.take([("x", Token("a", 0)), ("x", None)])
    assert await house.requests.next(running) == Token("a", 0)
    with pytest.raises(RequestCanceled):
        await house.requests.next(running)
    assert house.requests.status().slots_available == 2
    assert house.outcomes() == {"canceled": 1}


async def test_a_cancel_of_what_does_not_run_is_nothing(house: Any) -> None:
    house.requests.cancel("x")
    await house.enter("x")
    house.requests.take([("x", DONE)])
    house.requests.cancel("x")
    assert house.engine.canceled == []


async def test_a_block_that_is_left_in_the_middle_stops_the_engine(house: Any) -> None:
    await house.enter("x")
    house.requests.take([("x", Token("a", 0))])
    await house.leave("x")
    assert house.engine.canceled == ["x"]
    assert house.requests.status().slots_available == 1
    house.requests.take([("x", None)])
    assert house.requests.status().slots_available == 2
    assert house.outcomes() == {"canceled": 1}


async def test_a_block_that_is_left_after_the_end_stops_nothing(house: Any) -> None:
    await house.enter("x")
    house.requests.take([("x", DONE)])
    await house.enter("y")
    await house.leave("x")
    assert house.engine.canceled == []
    assert house.requests.status().slots_available == 1


async def test_a_block_that_is_left_before_the_begin_is_refused(house: Any) -> None:
    with pytest.raises(InvalidRequest):
        async with house.requests.admitted("x"):
            raise InvalidRequest.of("prompt", "some", "none")
    assert house.engine.orders == []
    assert house.outcomes() == {"refused": 1}
    assert house.requests.status().slots_available == 2


async def test_who_waits_for_the_last_request_waits_for_nothing_where_none_runs(house: Any) -> None:
    async with asyncio.timeout(1):
        await house.requests.empty()


async def test_who_waits_for_the_last_request_waits_for_all_of_them(house: Any) -> None:
    await house.enter("x")
    await house.enter("y")
    waiting = asyncio.create_task(house.requests.empty())
    house.requests.take([("x", DONE)])
    await asyncio.sleep(0)
    assert not waiting.done()
    house.requests.take([("y", DONE)])
    async with asyncio.timeout(1):
        await waiting


async def test_a_cut_ends_every_request_with_its_reason(house: Any) -> None:
    begun = await house.enter("x")
    waiting = await house.enter("y", begin=False)
    house.requests.cut()
    assert house.engine.canceled == ["x"]
    with pytest.raises(ShuttingDown):
        house.begin(waiting)
    house.requests.take([("x", None)])
    with pytest.raises(ShuttingDown, match="worker"):
        await house.requests.next(begun)
