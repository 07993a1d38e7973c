"""A daemon's course: running, draining, over."""

from __future__ import annotations

import asyncio

import pytest

from rbee.contract.errors import ModelNotFound, NodeNotFound
from rbee.runtime.lifecycle import Lifecycle


@pytest.fixture
async def lifecycle() -> Lifecycle:
    return Lifecycle("rbee-hive", None, None)


async def test_a_daemon_runs_until_its_end_begins(lifecycle: Lifecycle) -> None:
    assert (lifecycle.state, lifecycle.draining.is_set()) == ("running", False)
    lifecycle.shut_down()
    assert (lifecycle.state, lifecycle.draining.is_set()) == ("draining", True)


async def test_a_second_signal_cuts_the_end_short(lifecycle: Lifecycle) -> None:
    lifecycle.stop()
    assert not lifecycle.cut.is_set()
    lifecycle.stop()
    assert lifecycle.cut.is_set()


async def test_a_second_request_to_shut_down_changes_nothing(lifecycle: Lifecycle) -> None:
    lifecycle.shut_down()
    lifecycle.shut_down()
    assert not lifecycle.cut.is_set()


async def test_without_its_owner_a_daemon_ends_without_grace(lifecycle: Lifecycle) -> None:
    lifecycle.on_owner_lost()
    assert lifecycle.state == "draining"
    assert lifecycle.cut.is_set()


async def test_the_first_failure_is_the_one_that_is_told(lifecycle: Lifecycle) -> None:
    first = ModelNotFound(model="m", near=[])
    lifecycle.fail(first)
    lifecycle.fail(NodeNotFound(node="n"))
    assert lifecycle.failure is first
    assert lifecycle.state == "draining"


async def test_the_grace_ends_when_the_end_is_cut_short(lifecycle: Lifecycle) -> None:
    async with asyncio.timeout(5):
        waiting = asyncio.ensure_future(lifecycle.grace(3600))
        await asyncio.sleep(0)
        lifecycle.cut_short()
        await waiting


async def test_the_grace_ends_by_itself(lifecycle: Lifecycle) -> None:
    async with asyncio.timeout(5):
        await lifecycle.grace(0.01)
    assert not lifecycle.cut.is_set()


async def test_threads_see_an_end_without_grace(lifecycle: Lifecycle) -> None:
    lifecycle.cut_short()
    assert lifecycle.ending.is_set()


@pytest.mark.parametrize("end", ["stop", "shut_down"])
async def test_an_orderly_end_is_no_reason_to_end_hard(lifecycle: Lifecycle, end: str) -> None:
    getattr(lifecycle, end)()
    assert not lifecycle.ending.is_set()
