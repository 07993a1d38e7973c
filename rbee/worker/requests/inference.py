"""What is asked of the model over HTTP, as work for the engine: answers and embeddings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rbee.contract.embeddings import EmbeddingReply, EmbeddingRequest, EmbeddingRow, Usage
from rbee.contract.errors import InvalidRequest
from rbee.contract.events import Accepted, Done, Event, Token
from rbee.contract.tasks import InferenceRequest, keep_alive_s
from rbee.worker.engine.engine import Begin, Embed
from rbee.worker.engine.load import Loaded
from rbee.worker.requests.admission import check_length
from rbee.worker.requests.requests import Requests

T = TypeVar("T")

_READERS = 2


class Inference:
    """Tokenizes on threads of its own, so that long prompts can not take every thread of the
    program."""

    def __init__(self, requests: Requests, model_ref: str) -> None:
        self._requests = requests
        self._model_ref = model_ref
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="prompt")

    async def answer(self, request: InferenceRequest) -> AsyncIterator[Event]:
        """The events of one request. Raises ALL_SLOTS_BUSY, PROMPT_TOO_LONG and INVALID_REQUEST
        before the first one; what goes wrong later, REQUEST_CANCELED too, is raised then."""
        loaded = self._requests.loaded
        if not loaded.header.causal:
            told = "This model makes embeddings only: ask /v1/embeddings"
            raise InvalidRequest.of("model", "a model that generates", told)
        async with self._requests.admitted(request.request_id) as running:
            prompt = await self._read(lambda: _tokens(loaded, request))
            if not prompt:
                told = "The prompt has no tokens"
                raise InvalidRequest.of("prompt", "at least one token", told)
            self._requests.reserve(running, len(prompt), request.max_tokens)
            stay = None if request.keep_alive is None else keep_alive_s(request.keep_alive)
            order = Begin(running.name, request, prompt, running.room, running.asked_at)
            self._requests.begin(running, order, stay)
            yield Accepted(running.name)
            while True:
                event = await self._requests.next(running)
                assert isinstance(event, Token | Done)
                yield event
                if isinstance(event, Done):
                    return

    async def embed(self, request: EmbeddingRequest) -> EmbeddingReply:
        """A vector for each text. Raises ALL_SLOTS_BUSY, PROMPT_TOO_LONG, INVALID_REQUEST."""
        loaded = self._requests.loaded
        if loaded.header.pooling == "rank":
            told = "This model ranks texts and makes no embeddings"
            raise InvalidRequest.of("model", "a model with embeddings", told)
        async with self._requests.admitted(None) as running:
            texts = await self._read(lambda: [loaded.model.tokenize(t) for t in request.texts])
            # Not what the model was trained for: the memory of that may not be there.
            most = loaded.context.tokens
            for text in texts:
                check_length("input", len(text), most, f"the context holds {most}")
                if not text:
                    told = "A text has no tokens"
                    raise InvalidRequest.of("input", "at least one token", told)
            self._requests.begin(running, Embed(running.name, texts), None)
            vectors = await self._requests.next(running)
        assert isinstance(vectors, list)
        count = sum(len(text) for text in texts)
        rows = [EmbeddingRow(index, vector) for index, vector in enumerate(vectors)]
        return EmbeddingReply(self._model_ref, rows, Usage(count, count))

    async def settle(self) -> None:
        """Wait for prompts that are still being read: the model must not be freed under them."""
        await asyncio.to_thread(self._readers.shutdown)

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)


def _tokens(loaded: Loaded, request: InferenceRequest) -> list[int]:
    """The prompt's token ids. Runs on a thread: a long prompt takes its time."""
    if request.messages is None:
        return loaded.model.tokenize(request.prompt or "")
    text = loaded.chat.render(request.messages)
    bos = loaded.model.special_text("bos")
    if bos and loaded.model.adds_bos():
        text = text.removeprefix(bos)
    return loaded.model.tokenize(text)
