"""A worker without its HTTP: load, engine and requests, put together as its app does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.embeddings import EmbeddingRequest
from rbee.contract.errors import RbeeError
from rbee.contract.events import Accepted, Done, Event, Token
from rbee.contract.tasks import InferenceRequest
from rbee.contract.workers import WorkerStatus
from rbee.runtime.broadcast import Broadcast
from rbee.worker.engine.engine import Engine
from rbee.worker.engine.load import Load, Loaded
from rbee.worker.model.templates.renderers import Renderers
from rbee.worker.requests import vectors
from rbee.worker.requests.requests import Requests
from tests.worker.conftest import settings_of

OpenWorker = Callable[..., Any]


class Inside:
    """What a worker does, asked directly."""

    def __init__(self, model: Path, slots: int, context: int) -> None:
        self.requests = Requests(slots, f"file:{model}", Broadcast[Event]())
        self._ready: asyncio.Future[Loaded | RbeeError] = asyncio.get_running_loop().create_future()
        self._renderers = Renderers()
        settings = settings_of(model, slots=slots, context=context)
        load = Load(settings, lambda _: None, lambda _: None, self._renderers)
        self.engine = Engine(load, slots, self._ready.set_result, self.requests.take)

    async def load(self) -> Loaded:
        """Raises what the load raises."""
        self.engine.start()
        async with asyncio.timeout(30):
            outcome = await self._ready
        if isinstance(outcome, RbeeError):
            raise outcome
        self.requests.open(outcome, self.engine)
        return outcome

    @property
    def status(self) -> WorkerStatus:
        return self.requests.status()

    async def ask(self, prompt: str = "", max_tokens: int = 12, **fields: Any) -> tuple[str, Done]:
        """A whole answer: greedy, unless said otherwise."""
        if prompt:
            fields["prompt"] = prompt
        wanted = InferenceRequest(max_tokens=max_tokens, **{"temperature": 0, **fields})
        text = ""
        async with asyncio.timeout(30):
            async for event in self.requests.answer(wanted):
                if isinstance(event, Token):
                    text += event.token
                if isinstance(event, Done):
                    return text, event
        raise AssertionError("no end")

    async def ask_and_cancel(self, prompt: str, after: int = 3) -> None:
        """Leave in the middle of an answer, and wait until its slot is free."""
        wanted = InferenceRequest(prompt=prompt, max_tokens=200, ignore_eos=True, request_id="x")
        seen = 0
        answer = self.requests.answer(wanted)
        async with asyncio.timeout(30):
            async for event in answer:
                assert isinstance(event, Accepted | Token)
                seen += isinstance(event, Token)
                if seen == after:
                    break
            await answer.aclose()  # type: ignore[attr-defined]
            await self.requests.empty()

    async def embed(self, *texts: str) -> list[list[float]]:
        async with asyncio.timeout(30):
            reply = await vectors.embed(self.requests, EmbeddingRequest(list(texts)))
        return [row.embedding for row in reply.data]

    async def close(self) -> None:
        await self.requests.close()
        await self._renderers.close()
        await self.engine.stop()


@pytest.fixture
async def open_worker() -> AsyncIterator[OpenWorker]:
    """Open workers for a model; `load` is to be called."""
    opened: list[Inside] = []

    def build(model: Path, slots: int = 2, context: int = 256) -> Inside:
        opened.append(Inside(model, slots, context))
        return opened[-1]

    yield build
    for each in opened:
        await each.close()
