"""A scheduler that stands still while tasks wait is noticed, told by /health, and logged once."""

from __future__ import annotations

import asyncio
import logging
import time
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from rbee.contract import endpoints as ep
from rbee.contract.model_ref import parse
from rbee.contract.workers import WorkerRow
from rbee.queen import routes
from rbee.queen.nodes.fleet import Fleet
from rbee.queen.tasks.dispatcher import Dispatcher, Turn
from rbee.queen.tasks.wants import Want
from rbee.queen.tasks.watchdog import Watchdog
from rbee.runtime import server
from rbee.runtime.client import Client
from rbee.runtime.concurrency import stop
from rbee.runtime.keyring import Caller
from rbee.runtime.lifecycle import Lifecycle

WANT = Want(parse("hf:o/r"), "localhost")
ROW = WorkerRow("w", "http://w", "hf:o/r/m.gguf", "cpu", 0, "busy", None, None, 1, 1)


class Dreamer(Dispatcher):
    """Decides nothing while it `sleeps`, and does not say so."""

    sleeps = False

    def _decide_now(self) -> None:
        if not self.sleeps:
            super()._decide_now()
            self._decided_at = asyncio.get_running_loop().time()

    def _decide(self) -> None:
        self._is_due = False
        self._decide_now()
        self._set_timer()


class Lab:
    """A worker with one slot, which one has, and one that waits for it."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.fleet.connected("localhost", 0)
        self.fleet.worker_told("localhost", ROW, 0)
        self.dispatcher = Dreamer(self.fleet, 8)
        self.watchdog = Watchdog(lambda: self.dispatcher.undecided_s, 0.2, 0.02)
        self.tasks: list[asyncio.Task[Any]] = []

    async def come(self) -> Turn:
        turn = self.dispatcher.enter(Caller("a", "use"), lambda _: None)
        self.tasks.append(asyncio.create_task(turn.next(WANT)))
        await asyncio.sleep(0)
        return turn


def test_five_seconds_without_a_decision_are_a_stall() -> None:
    undecided_s = 5.0
    watchdog = Watchdog(lambda: undecided_s)
    assert not watchdog.is_stalled
    undecided_s = 5.1
    assert watchdog.is_stalled


async def test_a_wake_that_does_not_come_is_a_stall_and_over_when_it_comes() -> None:
    lab = Lab()
    await lab.come()  # the wake is due now, and the loop does nothing else meanwhile
    assert not lab.watchdog.is_stalled
    time.sleep(0.3)  # noqa: ASYNC251
    assert lab.watchdog.is_stalled
    await asyncio.sleep(0.01)
    assert not lab.watchdog.is_stalled


async def test_who_waits_long_for_a_slot_is_no_stall_since_that_is_decided_again_and_again() -> (
    None
):
    lab = Lab()
    await lab.come()
    await asyncio.sleep(0.01)
    waiting = await lab.come()
    await asyncio.sleep(0)
    longest = 0.0
    for _ in range(15):
        await asyncio.sleep(0.1)
        longest = max(longest, lab.dispatcher.undecided_s)
    assert waiting.state == "waiting"
    assert 0.5 < longest < 1.4


async def test_a_scheduler_without_tasks_is_no_stall() -> None:
    lab = Lab()
    turn = await lab.come()
    await asyncio.sleep(0.01)
    turn.accepted()
    await asyncio.sleep(0.3)
    assert not lab.watchdog.is_stalled
    assert lab.dispatcher.undecided_s == 0


async def test_a_stall_is_logged_once_until_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lab = Lab()
    watching = asyncio.create_task(lab.watchdog.watch())
    lab.dispatcher.sleeps = True
    turn = await lab.come()
    with caplog.at_level(logging.INFO):
        await asyncio.sleep(1.4)
        assert lab.watchdog.is_stalled
        lab.dispatcher.sleeps = False
        async with asyncio.timeout(5):
            await lab.tasks[0]  # it is decided again without being told
        await asyncio.sleep(0.1)
    await stop(watching)
    assert turn.state == "starting"
    said = [record.getMessage() for record in caplog.records if record.name == "queen-rbee"]
    assert [text.split(":")[0] for text in said] == [
        "the scheduler stands still",
        "the scheduler decides again",
    ]


@pytest.mark.parametrize(
    ("stalled", "status", "code"), [(True, "stalled", 503), (False, "ok", 200)]
)
async def test_health_tells_it_to_probes_and_to_keepers(
    stalled: bool, status: str, code: int
) -> None:
    app = server.application(Lifecycle("queen-rbee", None, "secret-key"))
    routes.add(app)
    app[routes.HOLDS] = SimpleNamespace(lifetime="persistent")  # type: ignore[assignment]
    watchdog = SimpleNamespace(is_stalled=stalled)
    app[routes.SCHEDULER] = SimpleNamespace(watchdog=watchdog)  # type: ignore[assignment]
    async with TestServer(app, host="127.0.0.1") as served:
        url = str(served.make_url("/")).rstrip("/")
        async with aiohttp.ClientSession() as probe, probe.get(f"{url}/health") as reply:
            assert (reply.status, (await reply.json())["status"]) == (code, status)
        async with Client(url, "secret-key", 5, 5) as keeper:
            assert (await keeper.call(ep.QUEEN_HEALTH)).status == status
