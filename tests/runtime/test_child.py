"""Children: started, and none left behind by whoever stops waiting."""

from __future__ import annotations

import asyncio
import signal
import sys

import psutil
import pytest

from rbee.contract.daemons import Hello
from rbee.contract.nodes import Owner
from rbee.runtime import child

HELLO = Hello("key", Owner("rbee-hive", 1, 1.0, "here"))

# Says that it listens, starts a child in a session of its own, and obeys nothing but KILL.
STUBBORN = """
import json, os, signal, subprocess, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
waits = [sys.executable, "-c", "import time; time.sleep(600)"]
below = subprocess.Popen(waits, start_new_session=True)
ready = {"event": "listening", "program": "w", "version": "1", "pid": below.pid, "url": "http://h:1"}
print(json.dumps(ready), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("moments", range(12))
async def test_who_is_canceled_while_a_child_starts_leaves_none(moments: int) -> None:
    starting = asyncio.create_task(child.start(["sleep", "60"], HELLO))
    for _ in range(moments):
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    left = [each for each in psutil.Process().children() if each.name() == "sleep"]
    assert left == []


async def test_a_child_that_obeys_nothing_is_killed_with_all_that_it_started() -> None:
    running, listening = await child.start([sys.executable, "-c", STUBBORN], HELLO)
    below = psutil.Process(listening.pid)
    stubborn = below.parent()
    assert stubborn is not None
    assert await running.end(0.1) == -signal.SIGKILL
    assert not below.is_running() or below.status() == psutil.STATUS_ZOMBIE
    assert not stubborn.is_running()
