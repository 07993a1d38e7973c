"""The registry's ports: given back when a worker goes, or does not come up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.config import Config
from rbee.contract.daemons import Listening
from rbee.contract.errors import AddressInUse, ProgramFailed
from rbee.contract.workers import WorkerGone
from rbee.hive.workers import registry as module
from rbee.hive.workers.registry import Workers
from rbee.hive.workers.worker_process import Plan
from rbee.runtime.broadcast import Broadcast


class Started:
    """In place of starting programs: remembers the ports, and refuses those that are taken."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.taken: set[int] = set()
        self.fails = False
        self.held = asyncio.Event()
        self.held.set()

    async def start(self, command: list[str], _: object) -> tuple[object, Listening]:
        port = int(command[command.index("--port") + 1])
        self.ports.append(port)
        await self.held.wait()
        if self.fails:
            raise ProgramFailed(program="llm-worker-rbee", reason="no memory")
        if port in self.taken:
            raise AddressInUse(address=str(port), holder=None)
        return SimpleNamespace(), Listening("w", "1", 1, f"http://127.0.0.1:{port}")


class Made:
    def __init__(self, started: Started) -> None:
        self.started = started
        life: Any = SimpleNamespace(own_url="http://hive", hello=None, draining=asyncio.Event())
        nobody: Any = None
        self.workers = Workers(Config(), life, "key", nobody, nobody, Broadcast())

    async def begin(self, name: str) -> Any:
        plan = Plan(
            worker_id=name,
            model_ref="file:/m.gguf",
            file="/m.gguf",
            backend="cpu",
            device=0,
            slots=1,
            correlation_id="c",
        )
        return await self.workers._start(plan, Path("/m.gguf"), None)


@pytest.fixture
async def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    started = Started()
    monkeypatch.setattr(module.child, "start", started.start)
    monkeypatch.setattr(module.bind, "is_free", lambda host, port: True)

    def supervise(plan: Plan, *_: object) -> object:
        return SimpleNamespace(plan=plan, is_ending=False)

    monkeypatch.setattr(module, "Supervised", supervise)
    return Made(started)


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "worker_command", lambda config: ["llm-worker-rbee"])
    yield


@pytest.mark.behaviour("B2.2")
async def test_two_that_start_at_once_get_two_ports(made: Made) -> None:
    made.started.held.clear()
    starting = [asyncio.create_task(made.begin(name)) for name in ("one", "two")]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    made.started.held.set()
    await asyncio.gather(*starting)
    assert sorted(made.started.ports) == [8001, 8002]


async def test_one_that_fails_gives_its_port_back(made: Made) -> None:
    made.started.fails = True
    for _ in range(3):
        with pytest.raises(ProgramFailed):
            await made.begin("one")
    assert made.started.ports == [8001, 8001, 8001]


async def test_one_that_was_canceled_gives_its_port_back(made: Made) -> None:
    made.started.held.clear()
    starting = asyncio.create_task(made.begin("one"))
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait({starting})
    made.started.held.set()
    await made.begin("two")
    assert made.started.ports == [8001, 8001]


async def test_where_somebody_was_faster_the_next_port_is_taken(made: Made) -> None:
    made.started.taken = {8001, 8002}
    await made.begin("one")
    assert made.started.ports == [8001, 8002, 8003]


@pytest.mark.behaviour("B2.2")
async def test_one_that_is_gone_is_forgotten(made: Made) -> None:
    await made.begin("one")
    assert made.workers.holding(Path("/m.gguf")) == ["one"]
    made.workers._hear(WorkerGone("one", "it was idle for too long", 0, []))
    assert made.workers.holding(Path("/m.gguf")) == []
