"""Requests over an engine that only takes down its orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.events import Event
from rbee.contract.tasks import InferenceRequest
from rbee.contract.workers import WorkerStatus
from rbee.runtime.broadcast import Broadcast
from rbee.worker.engine.engine import Begin, Cancel, Counts, Embed
from rbee.worker.requests.requests import Requests, Running

CONTEXT = 100


class TakesDown:
    """In place of the engine."""

    def __init__(self) -> None:
        self.orders: list[Begin | Embed | Cancel] = []
        self.counts = Counts(made=7)
        self.news = asyncio.Event()

    def order(self, order: Begin | Embed | Cancel) -> None:
        self.orders.append(order)
        self.news.set()

    @property
    def canceled(self) -> list[str]:
        return [order.name for order in self.orders if isinstance(order, Cancel)]


class Told(Broadcast[Event]):
    """What was sent to listeners."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, int, float | None]] = []

    def send(self, event: Event) -> None:
        assert isinstance(event, WorkerStatus)
        assert event.slots_total == 2
        self.all.append((event.state, event.slots_available, event.keep_alive_s))
        super().send(event)


class House:
    """Two slots over a context of a hundred tokens, open; requests enter and leave by name."""

    def __init__(self) -> None:
        self.engine = TakesDown()
        self.told = Told()
        self.requests = Requests(2, self.told)
        loaded: Any = SimpleNamespace(context=SimpleNamespace(tokens=CONTEXT))
        self.requests.open(loaded, self.engine)  # type: ignore[arg-type]
        self._blocks: dict[str, AbstractAsyncContextManager[Running]] = {}

    async def enter(
        self, name: str, begin: bool = True, keep_alive_s: float | None = None
    ) -> Running:
        """Enter a request's block, and begin its work unless said otherwise."""
        block = self.requests.admitted(name)
        running = await block.__aenter__()
        self._blocks[name] = block
        if begin:
            self.begin(running, keep_alive_s)
        return running

    def begin(self, running: Running, keep_alive_s: float | None = None) -> None:
        request = InferenceRequest(prompt="x")
        order = Begin(running.name, request, [1], running.room, running.asked_at)
        self.requests.begin(running, order, keep_alive_s)

    async def ordered(self) -> Begin | Embed | Cancel:
        """The next order, once its texts were read on their thread."""
        async with asyncio.timeout(10):
            await self.engine.news.wait()
        self.engine.news.clear()
        return self.engine.orders[-1]

    async def leave(self, name: str) -> None:
        """Leave the request's block."""
        await self._blocks.pop(name).__aexit__(None, None, None)

    async def leave_all(self) -> None:
        for name in list(self._blocks):
            await self.leave(name)

    def outcomes(self) -> dict[str, float]:
        """How many requests ended how."""
        registry = self.requests.metrics._registry
        [family] = [found for found in registry.collect() if found.name == "rbee_requests"]
        samples = [sample for sample in family.samples if sample.name.endswith("_total")]
        return {sample.labels["outcome"]: sample.value for sample in samples}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Where requests run."""
    found = House()
    yield found
    await found.leave_all()
