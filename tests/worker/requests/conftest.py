"""Requests over an engine that only records what it gets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.events import Event
from rbee.contract.tasks import InferenceRequest
from rbee.contract.workers import WorkerStatus
from rbee.runtime.broadcast import Broadcast
from rbee.worker.engine.request import Counts, Output, Request
from rbee.worker.requests.requests import Requests

CONTEXT = 100


class Recorder:
    """In place of the engine."""

    def __init__(self) -> None:
        self.submitted: list[Request] = []
        self.canceled: list[str] = []
        self.counts = Counts(made=7)
        self.news = asyncio.Event()

    def submit(self, request: Request) -> None:
        self.submitted.append(request)
        self.news.set()

    def cancel(self, request: Request) -> None:
        self.canceled.append(request.id)


class Told(Broadcast[Event]):
    """What was sent to listeners."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, int, float | None]] = []
        self.on_send: Callable[[], None] = lambda: None

    def send(self, event: Event) -> None:
        assert isinstance(event, WorkerStatus)
        assert event.slots_total == 2
        self.all.append((event.state, event.slots_available, event.keep_alive_s))
        self.on_send()
        super().send(event)


class House:
    """Two slots over a context of a hundred tokens, open; requests enter and leave by their ids.

    The clock stands still until a test sets `now`."""

    def __init__(self) -> None:
        self.engine = Recorder()
        self.told = Told()
        self.now = 0.0
        self.requests = Requests(2, "file:/m.gguf", self.told, lambda: self.now)
        loaded: Any = SimpleNamespace(
            context=SimpleNamespace(tokens=CONTEXT),
            header=SimpleNamespace(context_length=10 * CONTEXT),
        )
        self.requests.open(loaded, self.engine)  # type: ignore[arg-type]
        self._blocks: dict[str, AbstractAsyncContextManager[Request]] = {}
        self._known: dict[str, Request] = {}

    async def enter(
        self, name: str, submit: bool = True, keep_alive: float | None = None
    ) -> Request:
        """Enter a request's block, and submit it unless said otherwise."""
        block = self.requests.admitted(name)
        request = self._known[name] = await block.__aenter__()
        self._blocks[name] = block
        if submit:
            self.submit(request, keep_alive)
        return request

    def submit(self, request: Request, keep_alive: float | None = None) -> None:
        request.inference = InferenceRequest(prompt="x", keep_alive=keep_alive)
        request.texts = [[1]]
        self.requests.submit(request)

    async def submitted(self) -> Request:
        """The request that is submitted next, once its texts have been tokenized."""
        async with asyncio.timeout(10):
            await self.engine.news.wait()
        self.engine.news.clear()
        request = self.engine.submitted[-1]
        self._known[request.id] = request
        return request

    def take(self, *outputs: tuple[str, Output]) -> None:
        """A step of the engine has made these outputs."""
        self.requests.take([(self._known[name], output) for name, output in outputs])

    async def leave(self, name: str) -> None:
        """Leave the request's block."""
        await self._blocks.pop(name).__aexit__(None, None, None)

    async def leave_all(self) -> None:
        for name in list(self._blocks):
            await self.leave(name)

    def outcomes(self) -> dict[str, float]:
        """How many requests ended how."""
        counted = re.compile(r'^rbee_requests_total{outcome="(\w+)"} (.+)$', re.MULTILINE)
        lines = counted.findall(self.requests.metrics.text())
        return {outcome: float(count) for outcome, count in lines}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Where requests run."""
    found = House()
    yield found
    await found.leave_all()
