"""The registry: which workers there are, and which files they hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.config import Config
from rbee.contract.errors import NotFound
from rbee.contract.model_ref import parse
from rbee.contract.workers import ReadyCallback, SpawnRequest
from rbee.hive.models.stored_models import StoredModel
from rbee.hive.workers.launch import LaunchedWorker, WorkerSpec
from rbee.hive.workers.registry import Workers
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.client import Client
from tests.hive.conftest import write_gguf


class FakeLauncher:
    """Workers whose process ends when a test says so. Nothing listens at their address."""

    def __init__(self) -> None:
        self.codes: dict[str, asyncio.Future[int]] = {}
        self.told_to_end: asyncio.Queue[str] = asyncio.Queue()
        self.callback: Any = None

    async def launch(self, spec: WorkerSpec) -> LaunchedWorker:
        code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.codes[spec.worker_id] = code

        async def end(within_s: float) -> int:
            self.told_to_end.put_nowait(spec.worker_id)
            return await asyncio.shield(code)

        child: Any = SimpleNamespace(
            wait=lambda: asyncio.shield(code), end=end, lifeline=SimpleNamespace(close=lambda: None)
        )
        if self.callback is not None:
            self.callback(spec)
        url = "http://127.0.0.1:1"
        return LaunchedWorker(child, url, Client(url, "k", 1, 1))


class FakePreflight:
    async def memory_device(self, *_: object) -> None:
        return None

    def expect_memory(self) -> None:
        return None

    async def check_memory(self, *_: object) -> None:
        return None

    async def backend_and_device(self, *_: object) -> tuple[str, int]:
        return "cpu", 0


class Made:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.launcher = FakeLauncher()
        lifecycle: Any = SimpleNamespace(draining=asyncio.Event(), cut=asyncio.Event())
        launcher: Any = self.launcher
        preflight: Any = FakePreflight()
        provisioner: Any = SimpleNamespace(provide=self._provide)
        self.workers = Workers(Config(), lifecycle, launcher, preflight, provisioner, Broadcast())

    async def _provide(self, _: SpawnRequest) -> StoredModel:
        return StoredModel(parse(f"file:{self.path}"), self.path)

    async def spawn(self) -> str:
        return (await self.workers.spawn(SpawnRequest(f"file:{self.path}"))).worker_id


def callback(worker_id: str) -> ReadyCallback:
    return ReadyCallback(worker_id, "http://127.0.0.1:1", "file:/m.gguf", "cpu", 0)


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    one = Made(write_gguf(tmp_path / "m.gguf"))
    async with asyncio.timeout(10):
        yield one
        for code in one.launcher.codes.values():
            if not code.done():
                code.set_result(0)
        while one.workers.rows():  # noqa: ASYNC110  its tasks notice it
            await asyncio.sleep(0.01)


@pytest.mark.behaviour("B2.2")
async def test_one_that_is_gone_is_forgotten(made: Made) -> None:
    worker_id = await made.spawn()
    assert made.workers.holding(made.path) == [worker_id]
    made.launcher.codes[worker_id].set_result(0)
    while made.workers.holding(made.path):  # noqa: ASYNC110  its tasks notice it
        await asyncio.sleep(0.01)
    assert made.workers.rows() == []
    with pytest.raises(NotFound):
        await made.workers.end(worker_id)


async def test_a_file_is_held_by_what_a_link_to_it_has_loaded(made: Made) -> None:
    stored = made.path.rename(made.path.with_name("stored.gguf"))
    made.path.symlink_to(stored)
    worker_id = await made.spawn()
    assert made.workers.holding(stored) == [worker_id]


async def test_one_whose_asker_leaves_as_it_starts_is_not_left_behind(made: Made) -> None:
    """It listens, and nobody has been told yet."""
    loop = asyncio.get_running_loop()
    made.launcher.callback = lambda _: loop.call_soon(asking.cancel)
    asking = asyncio.create_task(made.workers.start(SpawnRequest("x")))
    worker_id = await made.launcher.told_to_end.get()
    made.launcher.codes[worker_id].set_result(0)
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_callback_of_a_stranger_is_refused(made: Made) -> None:
    with pytest.raises(NotFound, match="started no worker"):
        made.workers.register(callback("worker-of-another-hive"))


async def test_one_that_calls_back_before_it_is_known_to_listen_is_registered(made: Made) -> None:
    made.launcher.callback = lambda spec: made.workers.register(callback(spec.worker_id))
    worker_id = await made.spawn()
    assert [row.id for row in made.workers.rows()] == [worker_id]


async def test_a_file_that_is_about_to_be_loaded_is_held(made: Made) -> None:
    seen: list[list[str]] = []
    made.launcher.callback = lambda _: seen.append(made.workers.holding(made.path))
    await made.spawn()
    assert seen == [["a worker that is starting"]]


async def test_a_worker_that_ends_with_its_starter_is_never_listed(made: Made) -> None:
    worker = await made.workers.start(SpawnRequest("x"))
    watching = asyncio.create_task(worker.watch_load(lambda _: None))
    await asyncio.sleep(0)
    assert made.workers.rows() == []
    watching.cancel()
    async with asyncio.timeout(5):
        while not worker.is_ending:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for code in made.launcher.codes.values():
        code.set_result(0)
    async with asyncio.timeout(5):
        await asyncio.wait({watching})
    assert made.workers.rows() == []
