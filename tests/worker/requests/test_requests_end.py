"""How a request is stopped, and how the worker's own end waits for the last one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rbee.contract.errors import (
    InvalidRequest,
    ModelInUse,
    RequestCanceled,
    ShuttingDown,
)
from rbee.contract.events import Done, Token
from rbee.contract.workers import WorkerStatus

DONE = Done(True, 1, 1.0, 1, 0, 1.0, 1.0, "EOS")


async def test_a_cancel_before_the_submit_keeps_the_work_from_the_engine(house: Any) -> None:
    request = await house.enter("x", submit=False)
    house.requests.cancel("x")
    assert house.engine.submitted == []
    with pytest.raises(RequestCanceled):
        house.submit(request)
    await house.leave("x")
    assert house.engine.submitted == []
    assert house.requests.status() == WorkerStatus("idle", 2, 2)


async def test_a_cancel_after_the_submit_holds_the_slot_until_the_engine_has_stopped(
    house: Any,
) -> None:
    request = await house.enter("x")
    house.requests.cancel("x")
    assert house.engine.canceled == ["x"]
    assert house.requests.status().slots_available == 1
    house.take(("x", Token("a", 0)), ("x", RequestCanceled()))
    assert await request.next() == Token("a", 0)
    with pytest.raises(RequestCanceled):
        await request.next()
    assert house.requests.status().slots_available == 2
    assert house.outcomes() == {"canceled": 1}


async def test_a_cancel_of_a_request_that_does_not_run_does_nothing(house: Any) -> None:
    house.requests.cancel("x")
    await house.enter("x")
    house.take(("x", DONE))
    house.requests.cancel("x")
    assert house.engine.canceled == []


async def test_a_block_that_is_left_in_the_middle_stops_the_engine(house: Any) -> None:
    await house.enter("x")
    house.take(("x", Token("a", 0)))
    await house.leave("x")
    assert house.engine.canceled == ["x"]
    assert house.requests.status().slots_available == 1
    house.take(("x", RequestCanceled()))
    assert house.requests.status().slots_available == 2
    assert house.outcomes() == {"canceled": 1}


async def test_a_block_that_is_left_after_the_end_stops_nothing(house: Any) -> None:
    await house.enter("x")
    house.take(("x", DONE))
    await house.enter("y")
    await house.leave("x")
    assert house.engine.canceled == []
    assert house.requests.status().slots_available == 1


async def test_a_request_that_fails_before_the_submit_is_refused(house: Any) -> None:
    with pytest.raises(InvalidRequest):
        async with house.requests.admitted("x"):
            raise InvalidRequest.of("prompt", "some", "none")
    assert house.engine.submitted == []
    assert house.outcomes() == {"refused": 1}
    assert house.requests.status().slots_available == 2


async def test_waiting_for_the_last_request_ends_at_once_if_none_runs(house: Any) -> None:
    async with asyncio.timeout(1):
        await house.requests.empty()


async def test_waiting_for_the_last_request_waits_for_all_of_them(house: Any) -> None:
    await house.enter("x")
    await house.enter("y")
    waiting = asyncio.create_task(house.requests.empty())
    house.take(("x", DONE))
    await asyncio.sleep(0)
    assert not waiting.done()
    house.take(("y", DONE))
    async with asyncio.timeout(1):
        await waiting


async def test_cancel_all_ends_every_request_with_its_reason(house: Any) -> None:
    begun = await house.enter("x")
    waiting = await house.enter("y", submit=False)
    house.requests.cancel_all()
    assert house.engine.canceled == ["x"]
    with pytest.raises(ShuttingDown):
        house.submit(waiting)
    house.take(("x", RequestCanceled()))
    with pytest.raises(ShuttingDown, match="worker"):
        await begun.next()


async def test_it_is_idle_only_while_no_request_runs(house: Any) -> None:
    house.requests.check_idle()
    await house.enter("x", submit=False)
    with pytest.raises(ModelInUse, match="answers 1 request"):
        house.requests.check_idle()
    await house.leave("x")
    house.requests.check_idle()
