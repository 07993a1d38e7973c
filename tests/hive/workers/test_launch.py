"""A worker's start: each has a port of its own, which is given back if it does not come up."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from rbee.contract.config import Config
from rbee.contract.daemons import Hello, Listening
from rbee.contract.errors import AddressInUse, Internal, ProgramFailed, ShuttingDown
from rbee.hive.workers.launch import LaunchedWorker, Launcher, WorkerSpec
from rbee.runtime.prepared import Prepared


class StartedPrograms:
    """In place of starting programs: remembers the ports, and refuses those that are taken."""

    def __init__(self) -> None:
        self.commands: list[Sequence[str]] = []
        self.ports: list[int] = []
        self.taken: set[int] = set()
        self.fails = False
        self.ended: list[float] = []
        self.held = asyncio.Event()
        self.held.set()

    async def start(self, command: Sequence[str], _: Hello) -> tuple[Any, Listening]:
        port = int(command[command.index("--port") + 1])
        self.commands.append(command)
        self.ports.append(port)
        await self.held.wait()
        if self.fails:
            raise ProgramFailed(program="llm-worker-rbee", reason="no memory")
        if port in self.taken:
            raise AddressInUse(address=str(port), holder=None)
        child = SimpleNamespace(lifeline=SimpleNamespace(close=lambda: None), end=self._end)
        return child, Listening("w", "1", 1, f"http://127.0.0.1:{port}")

    async def _end(self, within_s: float) -> int:
        self.ended.append(within_s)
        return 0


class Made:
    def __init__(self) -> None:
        self.started = StartedPrograms()
        self.lifecycle: Any = SimpleNamespace(
            own_url="http://127.0.0.1:9200", hello=None, draining=asyncio.Event()
        )
        self.free = True
        self.standby: Any = SimpleNamespace(take=self._take)
        self.waiting: list[Prepared] = []
        self.taken: list[Sequence[str]] = []
        self.launcher = Launcher(
            Config(),
            self.lifecycle,
            "key",
            self.standby,
            start_child=self.started.start,
            is_free=lambda host, port: self.free,
        )

    def _take(self, arguments: Sequence[str]) -> Prepared | None:
        if not self.waiting:
            return None
        self.taken.append(arguments)
        return self.waiting.pop()

    async def launch(self, name: str, context: int | None = None) -> LaunchedWorker:
        return await self.launcher.launch(
            WorkerSpec(
                worker_id=name,
                model_ref="file:/m.gguf",
                file="/m.gguf",
                backend="cpu",
                device=0,
                slots=1,
                correlation_id="c",
                context=context,
            )
        )


@pytest.fixture
async def made() -> Made:
    return Made()


@pytest.mark.behaviour("B2.2")
async def test_two_that_start_at_once_get_two_ports(made: Made) -> None:
    made.started.held.clear()
    starting = [asyncio.create_task(made.launch(name)) for name in ("one", "two")]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    made.started.held.set()
    await asyncio.gather(*starting)
    assert sorted(made.started.ports) == [8001, 8002]


async def test_one_that_fails_gives_its_port_back(made: Made) -> None:
    made.started.fails = True
    for _ in range(3):
        with pytest.raises(ProgramFailed):
            await made.launch("one")
    assert made.started.ports == [8001, 8001, 8001]


async def test_one_that_was_canceled_gives_its_port_back(made: Made) -> None:
    made.started.held.clear()
    starting = asyncio.create_task(made.launch("one"))
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait({starting})
    made.started.held.set()
    await made.launch("two")
    assert made.started.ports == [8001, 8001]


async def test_where_another_program_was_faster_the_next_port_is_taken(made: Made) -> None:
    made.started.taken = {8001, 8002}
    await made.launch("one")
    assert made.started.ports == [8001, 8002, 8003]


async def test_without_a_free_port_the_range_is_named(made: Made) -> None:
    made.free = False
    with pytest.raises(Internal, match="No port from 8001 to 8200 is free"):
        await made.launch("one")


async def test_one_that_comes_up_while_the_hive_ends_is_ended_too(made: Made) -> None:
    made.lifecycle.draining.set()
    with pytest.raises(ShuttingDown):
        await made.launch("one")
    assert len(made.started.ended) == 1


@pytest.mark.parametrize(("context", "flag"), [(None, False), (4096, True)])
async def test_the_context_is_handed_on_only_if_the_request_names_one(
    made: Made, context: int | None, flag: bool
) -> None:
    launched = await made.launch("one", context)
    [command] = made.started.commands
    assert ("--context" in command) is flag
    assert command[command.index("--callback-url") + 1] == "http://127.0.0.1:9200"
    assert launched.url == "http://127.0.0.1:8001"


LISTENS = """
import json, sys
hello = json.loads(sys.stdin.readline())
ready = {"event": "listening", "program": "w", "version": "1", "pid": 1, "url": "http://127.0.0.1:8001"}
print(json.dumps(ready), flush=True)
sys.stdin.read()
"""


async def test_a_standby_worker_goes_before_a_new_process(made: Made) -> None:
    prepared = Prepared([sys.executable, "-c", LISTENS])
    made.waiting = [prepared]
    launched = await made.launch("one")
    assert made.started.commands == []
    [arguments] = made.taken
    assert arguments[arguments.index("--worker-id") + 1] == "one"
    assert arguments[arguments.index("--port") + 1] == "8001"
    assert launched.url == "http://127.0.0.1:8001"
    launched.child.lifeline.close()
    assert await launched.child.end(5) == 0


async def test_a_standby_worker_that_has_died_costs_nothing_but_its_head_start(made: Made) -> None:
    made.waiting = [Prepared([sys.executable, "-c", "raise SystemExit(3)"])]
    await made.launch("one")
    assert made.started.ports == [8001]


async def test_an_error_that_a_standby_worker_reports_is_the_error(made: Made) -> None:
    error = msgspec.to_builtins(AddressInUse(address="a", holder=None).envelope().error)
    failed = {"event": "failed", "program": "w", "error": error}
    made.waiting = [Prepared([sys.executable, "-c", f"print({json.dumps(failed)!r})"])]
    await made.launch("one")
    assert made.started.ports == [8002]
