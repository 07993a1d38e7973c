"""A daemon's course: running, draining, over."""

from __future__ import annotations

import asyncio

import pytest

from rbee.contract.errors import ModelNotFound, NodeNotFound
from rbee.runtime.lifecycle import Lifecycle


@pytest.fixture
async def life() -> Lifecycle:
    return Lifecycle("rbee-hive", None, None)


async def test_a_daemon_runs_until_its_end_begins(life: Lifecycle) -> None:
    assert (life.state, life.draining.is_set()) == ("running", False)
    life.shut_down()
    assert (life.state, life.draining.is_set()) == ("draining", True)


async def test_a_second_signal_cuts_the_end_short(life: Lifecycle) -> None:
    life.stop()
    assert not life.cut.is_set()
    life.stop()
    assert life.cut.is_set()


async def test_a_second_request_to_shut_down_changes_nothing(life: Lifecycle) -> None:
    life.shut_down()
    life.shut_down()
    assert not life.cut.is_set()


async def test_without_its_owner_a_daemon_ends_without_grace(life: Lifecycle) -> None:
    life.on_owner_lost()
    assert life.state == "draining"
    assert life.cut.is_set()


async def test_the_first_failure_is_the_one_that_is_told(life: Lifecycle) -> None:
    first = ModelNotFound(model="m", near=[])
    life.fail(first)
    life.fail(NodeNotFound(node="n"))
    assert life.failure is first
    assert life.state == "draining"


async def test_the_grace_ends_when_the_end_is_cut_short(life: Lifecycle) -> None:
    async with asyncio.timeout(5):
        waiting = asyncio.ensure_future(life.grace(3600))
        await asyncio.sleep(0)
        life.cut_short()
        await waiting


async def test_the_grace_ends_by_itself(life: Lifecycle) -> None:
    async with asyncio.timeout(5):
        await life.grace(0.01)
    assert not life.cut.is_set()


async def test_threads_see_an_end_without_grace(life: Lifecycle) -> None:
    life.cut_short()
    assert life.ending.is_set()


@pytest.mark.parametrize("end", ["stop", "shut_down"])
async def test_an_orderly_end_is_no_reason_to_end_hard(life: Lifecycle, end: str) -> None:
    getattr(life, end)()
    assert not life.ending.is_set()
