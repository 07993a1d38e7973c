"""A child that is started ahead: it waits, is begun later, and may be thrown away."""

from __future__ import annotations

import sys

import psutil
import pytest

from rbee.contract.daemons import Hello
from rbee.contract.errors import ProgramFailed
from rbee.contract.nodes import Owner
from rbee.runtime import child
from rbee.runtime.prepared import Prepared

HELLO = Hello("key", Owner("rbee-hive", 1, 1.0, "here"))

# Says on which lines it was begun.
WAITS = """
import json, sys
lines = [sys.stdin.readline().strip() for _ in range(2)]
hello = json.loads(lines[1])
ready = {"event": "listening", "program": lines[0], "version": hello["api_key"]}
ready |= {"pid": 1, "url": ""}
print(json.dumps(ready), flush=True)
sys.stdin.read()
"""
# In a process group of its own, as our programs start theirs.
STARTS_ANOTHER = """
import subprocess, sys, time
waits = [sys.executable, "-c", "import time; time.sleep(600)"]
below = subprocess.Popen(waits, start_new_session=len(sys.argv) > 1)
print(below.pid, flush=True)
time.sleep(600)
"""


async def test_it_reads_a_line_of_its_own_and_then_the_hello() -> None:
    prepared = Prepared([sys.executable, "-c", WAITS])
    assert prepared.is_running
    prepared.write(b"to do this")
    running, listening = await child.begin(prepared, HELLO)
    assert (listening.program, listening.version) == ("to do this", "key")
    running.lifeline.close()
    assert await running.end(5) == 0


def test_it_ends_with_its_standard_input() -> None:
    prepared = Prepared([sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(7)"])
    assert prepared.process.stdin is not None
    prepared.process.stdin.close()
    assert prepared.process.wait(10) == 7
    assert not prepared.is_running
    prepared.discard()


@pytest.mark.parametrize("group", [[], ["of its own"]])
def test_it_is_discarded_with_all_that_it_started(group: list[str]) -> None:
    prepared = Prepared([sys.executable, "-c", STARTS_ANOTHER, *group])
    assert prepared.process.stdout is not None
    below = psutil.Process(int(prepared.process.stdout.readline()))
    prepared.discard()
    assert not prepared.is_running
    assert not below.is_running() or below.status() == psutil.STATUS_ZOMBIE


async def test_one_that_has_ended_is_reported_when_it_is_begun() -> None:
    prepared = Prepared([sys.executable, "-c", "import sys; sys.exit('no llama.cpp here')"])
    prepared.process.wait(10)
    prepared.write(b"too late")
    with pytest.raises(ProgramFailed, match=r"no llama\.cpp here"):
        await child.begin(prepared, HELLO)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ProgramFailed, match="/nowhere/llm-worker-rbee"):
        Prepared(["/nowhere/llm-worker-rbee"])
