"""A queen's room whose tasks are answered by the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

import msgspec
import pytest

from rbee.contract.config import ModelsSection
from rbee.contract.embeddings import (
    EmbeddingReply,
    EmbeddingRequest,
    EmbeddingRow,
    RerankReply,
    RerankResult,
    Usage,
)
from rbee.contract.errors import TooManyRequests
from rbee.contract.events import Accepted, Done, Event, Token
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import PromptReply
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import KnownModel
from rbee.queen.tasks.task import Answered, CountRequest, VectorRequest
from rbee.runtime.keyring import OPERATOR, Caller

FILE = "hf:Owner/Repo-GGUF/repo-q4_k_m.gguf"
ANSWER: list[Event | Exception | asyncio.Event] = [
    Accepted("r-1"),
    Token("Hel", 0),
    Token("lo", 1),
    Done(True, 2, 12.0, 7, 3, 4.0, 250.0, "EOS"),
]


class Queen:
    """`answers` are the events of the tasks in turn, the last one for all that follow; an error is
    raised, and an asyncio.Event waited for. `places` is how many of one request may run at once,
    and `reserved` how many are reserved at the moment. `asked` and `wanted` are what was asked for,
    by `callers`; `left` counts the streams that were closed before their end."""

    def __init__(self) -> None:
        self.answers: list[list[Event | Exception | asyncio.Event]] = [ANSWER]
        self.asked: list[TaskRequest] = []
        self.wanted: list[VectorRequest] = []
        self.models = [KnownModel(FILE, "loaded", 1700000000)]
        self.read_models: list[KnownModel] = []
        self.left = 0
        self.places = 4
        self.reserved = 0
        self.callers: list[Caller] = []
        self.begun, self.closed = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def reserve(self, caller: Caller, most: int) -> Iterator[int]:
        if not self.places:
            raise TooManyRequests(key=caller.name, limit=1)
        self.reserved = min(self.places, most)
        try:
            yield self.reserved
        finally:
            self.reserved = 0

    async def stream(
        self, request: TaskRequest, caller: Caller = OPERATOR, has_place: bool = False
    ) -> AsyncGenerator[Event, None]:
        assert has_place == bool(self.reserved)
        self.callers.append(caller)
        events = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(request)
        self.begun.set()
        ended = False
        try:
            for event in events:
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, asyncio.Event):
                    await event.wait()
                else:
                    yield event
            ended = True
        finally:
            self.left += not ended
            self.closed.set()

    async def ask(
        self, request: VectorRequest | CountRequest, caller: Caller = OPERATOR
    ) -> Answered:
        self.callers.append(caller)
        if isinstance(request, CountRequest):
            self.asked.append(request)
            return PromptReply(42)
        self.wanted.append(request)
        if isinstance(request.texts, EmbeddingRequest):
            rows = [EmbeddingRow(at, [1.0, 0.0]) for at, _ in enumerate(request.texts.texts)]
            return EmbeddingReply("of the worker", rows, Usage(2, 2))
        return RerankReply("of the worker", [RerankResult(0, 0.5)], Usage(2, 2))

    def known(self) -> list[KnownModel]:
        return self.models

    async def read(self, within_s: float) -> None:
        self.models = [*self.models, *self.read_models]


@pytest.fixture
def queen() -> Queen:
    return Queen()


@pytest.fixture
def room(queen: Queen) -> Room:
    aliases = {"big": "hf:Owner/Repo-GGUF", "Small": "hf:a/b"}
    return Room(queen, queen, msgspec.convert({"aliases": aliases}, ModelsSection))
