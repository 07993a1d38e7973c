"""The worker's requests: each takes a slot, goes to the engine, and streams what comes back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from rbee.contract.errors import (
    AllSlotsBusy,
    ComputeFailed,
    InvalidRequest,
    ModelInUse,
    PromptTooLong,
    RbeeError,
    RequestCanceled,
    ShuttingDown,
)
from rbee.contract.events import Accepted, Done, Event, Prefill, Token
from rbee.contract.tasks import InferenceRequest, keep_alive_s
from rbee.contract.workers import WorkerStatus
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.concurrency import finish
from rbee.worker.engine.request import Counts, Output, Outputs, Request
from rbee.worker.model.beginning import Beginning
from rbee.worker.requests.admission import check_prompt, check_slot, check_tokens, reserve
from rbee.worker.requests.fitness import Fitness

if TYPE_CHECKING:  # a worker listens before it imports these
    from rbee.worker.engine.engine import Engine
    from rbee.worker.engine.load import Loaded
    from rbee.worker.requests.metrics import Metrics, Outcome
    from rbee.worker.requests.model_files import ModelFiles

T = TypeVar("T")

_PREPARERS = 2
# The most tokens of a prompt that are counted exactly: more would hold up the prompts of others.
_COUNTED = 1_000_000
_OTHER_MODEL = "Choose another model for answers."


class Requests:
    """The only owner of the slots. Every change of `status` is sent to `events`.

    Prompts are tokenized, and grammars compiled, on two threads of their own, so that long ones
    can't take every thread of the program.
    """

    def __init__(
        self,
        slots: int,
        model_ref: str,
        events: Broadcast[Event],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self.model_ref = model_ref
        self._events = events
        self._clock = clock
        self._loaded: Loaded | None = None
        self._engine: Engine | None = None
        self._fitness = Fitness()
        self._running: dict[str, Request] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._keep_alive_s: float | None = None
        self._preparers = ThreadPoolExecutor(_PREPARERS, thread_name_prefix="prompt")

    def open(self, loaded: Loaded, engine: Engine, files: ModelFiles | None = None) -> None:
        """Take requests from here on: the model is loaded. Its `files` are looked at for each
        request, and again while answers are made."""
        self._loaded, self._engine = loaded, engine
        self._fitness.files = files
        self._events.send(self.status())

    @cached_property
    def metrics(self) -> Metrics:
        """What is counted of the requests."""
        from rbee.worker.requests.metrics import Metrics

        return Metrics(self._counts, self.status)

    @property
    def loaded(self) -> Loaded:
        """The loaded model. Raises ALL_SLOTS_BUSY while it is loading."""
        if self._loaded is None:
            message = "The worker is still loading."
            raise AllSlotsBusy(message, slots_total=self._slots, slots_busy=self._slots, waiting=0)
        return self._loaded

    def status(self) -> WorkerStatus:
        """What the worker does now."""
        if self._loaded is None:
            return WorkerStatus("loading", self._slots, 0)
        free = self._slots - len(self._running)
        state = "busy" if self._running else "idle"
        if not self._fitness.is_healthy:
            state = "unhealthy"
        return WorkerStatus(state, self._slots, free, self._keep_alive_s)  # type: ignore[arg-type]

    def check_idle(self) -> None:
        """Raises MODEL_IN_USE while the model loads, and while a request runs."""
        if self._loaded is None:
            raise ModelInUse(f"{self.model_ref} is loading.", model=self.model_ref, workers=[])
        if self._running:
            message = f"{self.model_ref} answers {len(self._running)} requests."
            raise ModelInUse(message, model=self.model_ref, workers=[])

    async def answer(self, message: InferenceRequest) -> AsyncIterator[Event]:
        """The events of an answer. Raises ALL_SLOTS_BUSY, PROMPT_TOO_LONG and INVALID_REQUEST
        before the first event, and later whatever goes wrong, REQUEST_CANCELED included."""
        from rbee.worker.requests import answer_form, tool_use
        from rbee.worker.requests.prompt import prompt_tokens

        loaded = self._generating()
        async with self.admitted(message.request_id) as request:
            read = partial(self.tokenize, "prompt")
            told = await self.prepare(request, tool_use.as_told(loaded, message))
            prompt = await self.prepare(request, prompt_tokens(loaded, told, read))
            if isinstance(prompt, Beginning):
                trained = loaded.header.context_length
                check_prompt(len(prompt), loaded.context.tokens, trained, at_least=True)
            if not prompt:
                error = "The prompt has no tokens"
                raise InvalidRequest.of("prompt", "at least one token", error)
            check_tokens(
                "logit_bias", [*map(int, message.logit_bias)], loaded.model.vocabulary_size
            )
            request.form = form = tool_use.form(loaded, message, told, prompt)
            if answer_form.is_wanted(message):
                held = answer_form.constraint(loaded, message, form, self.in_thread)
                request.constraint = await self.prepare(request, held)
            self.reserve(request, len(prompt), message.max_tokens)
            if message.messages is not None and loaded.chat.stops:
                message = msgspec.structs.replace(message, stop=[*message.stop, *loaded.chat.stops])
            request.inference, request.texts = message, [prompt]
            self.submit(request)
            yield Accepted(request.id, len(prompt))
            while True:
                output = await request.next()
                assert isinstance(output, Prefill | Token | Done)
                yield output
                if isinstance(output, Done):
                    return

    async def count(self, message: InferenceRequest) -> int:
        """How many tokens the prompt of an answer would have, without a slot. Raises what `answer`
        raises for a prompt that can't be had, but not for one that is too long."""
        from rbee.worker.requests import tool_use
        from rbee.worker.requests.prompt import prompt_tokens

        loaded, read = self._generating(), partial(self.tokenize, "prompt")
        told = await tool_use.as_told(loaded, message)
        return len(await prompt_tokens(loaded, told, read, _COUNTED))

    def _generating(self) -> Loaded:
        """The loaded model, for answers. Raises INVALID_REQUEST if it makes none."""
        if not self.loaded.generates:
            raise InvalidRequest.of(
                "model", "a model that generates", _instead(self.loaded), hint=_OTHER_MODEL
            )
        return self.loaded

    @asynccontextmanager
    async def admitted(self, request_id: str | None) -> AsyncIterator[Request]:
        """A request with a slot, which is taken before any work is done. Raises ALL_SLOTS_BUSY,
        SHUTTING_DOWN if the model's files have changed, and COMPUTE_FAILED if they can't be looked
        at.

        Leaving the block before the request has ended cancels it; its slot is free once the work
        on it has stopped.
        """
        try:
            await self._fitness.check_files()
        except ComputeFailed:
            self._changed()  # it may be unhealthy now
            raise
        request_id = request_id or secrets.token_hex(8)
        if request_id in self._running:
            error = "A request with this id is running"
            raise InvalidRequest.of("request_id", "unique", error, request_id)
        try:
            check_slot(len(self._running), self._slots)
        except AllSlotsBusy:
            self.metrics.ended("refused")
            raise
        request = self._running[request_id] = Request(request_id, self._clock())
        self._changed()
        outcome: Outcome = "canceled"
        try:
            yield request
        except RbeeError:
            outcome = "canceled" if request.canceled else "refused"
            raise
        finally:
            if not request.ended:
                if self._engine and request.submitted:
                    self._engine.cancel(request)
                elif request.preparing is not None:
                    request.preparing.cancel()
                    request.preparing.add_done_callback(lambda _: self._release(request, outcome))
                    request.preparing.add_done_callback(_retrieve)
                else:
                    self._release(request, outcome)

    def reserve(self, request: Request, prompt: int, max_tokens: int) -> None:
        """Reserve room in the context for a prompt of so many tokens and its answer. Raises
        PROMPT_TOO_LONG and ALL_SLOTS_BUSY."""
        taken = [other.room for other in self._running.values() if other.submitted]
        loaded = self.loaded
        context, trained = loaded.context.tokens, loaded.header.context_length
        request.room = reserve(prompt, max_tokens, context, taken, self._slots, trained)

    def submit(self, request: Request) -> None:
        """Hand the request to the engine, unless it was canceled meanwhile."""
        if request.canceled is not None:
            raise request.canceled
        assert self._engine is not None  # `loaded` has raised otherwise
        request.submitted = True
        if request.inference is not None:  # a text to embed or to rank says nothing of it
            keep_alive = request.inference.keep_alive
            stays_s = None if keep_alive is None else keep_alive_s(keep_alive)
            if stays_s != self._keep_alive_s:  # told now: a short answer's end comes too late
                self._keep_alive_s = stays_s
                self._changed()
        self._engine.submit(request)

    def take(self, outputs: Outputs) -> None:
        """Pass the outputs of a step on to their requests."""
        now = self._clock()
        self._fitness.note((output for _, output in outputs), now)
        for request, output in outputs:
            if request.ended:
                continue
            if isinstance(output, Token):
                if output.index >= request.tokens:
                    self.metrics.token(request, now)
                    request.token_at = now
                    request.tokens = output.index + 1
            elif not isinstance(output, Prefill):
                # The slot comes first: a client that has seen the end finds the slot free.
                self._release(request, _outcome(output))
            request.outputs.put_nowait(output)

    def cancel(self, request_id: str, reason: RbeeError | None = None) -> None:
        """Stop a request. It is not an error if it is not running."""
        if request := self._running.get(request_id):
            request.canceled = reason or RequestCanceled()
            if self._engine and request.submitted:
                self._engine.cancel(request)
            elif request.preparing is not None:
                request.preparing.cancel()

    def cancel_all(self, why: str = "The worker is shutting down.") -> None:
        """End every running request with SHUTTING_DOWN."""
        for request_id in list(self._running):
            self.cancel(request_id, ShuttingDown(why))

    async def empty(self) -> None:
        """Wait until no request runs."""
        await self._empty.wait()

    async def close(self) -> None:
        """Wait for what is being prepared: the model must not be freed before."""
        if self._fitness.files is not None:
            self._fitness.files.close()
        await asyncio.to_thread(self._preparers.shutdown)

    async def prepare(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """Do what comes before the engine. The request keeps its slot until that has ended, even if
        nobody waits for it any more."""
        request.preparing = task = asyncio.create_task(work)
        await asyncio.wait({task})
        request.preparing = None
        failed = None if task.cancelled() else task.exception()
        if request.canceled is not None:
            raise request.canceled from failed
        return task.result()

    async def in_thread(self, work: Callable[[], T], /) -> T:
        """Do the `work` on one of the threads. Canceled, it ends when the thread has, which nothing
        can stop."""
        working = self._preparers.submit(work)
        try:
            return await asyncio.shield(asyncio.wrap_future(working))
        except asyncio.CancelledError:
            if not working.cancel():
                await finish(asyncio.to_thread(wait, [working]))
            raise

    async def tokenize(self, field: str, work: Callable[[], T], /) -> T:
        """The same for work that takes the text of the `field` apart. Raises PROMPT_TOO_LONG for it
        if there is no memory for that."""
        try:
            return await self.in_thread(work)
        except MemoryError as error:
            raise PromptTooLong.of(field, "a shorter text", str(error)) from None

    def _counts(self) -> Counts:
        return self._engine.counts if self._engine else Counts()

    def _release(self, request: Request, outcome: Outcome) -> None:
        request.ended = True
        del self._running[request.id]
        self.metrics.ended(outcome)
        self._changed()

    def _changed(self) -> None:
        if self._running:
            self._empty.clear()
        else:
            self._empty.set()
        self._events.send(self.status())


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at how it ended, so that asyncio does not report it as lost."""
    if not task.cancelled():
        task.exception()


def _outcome(last: Output) -> Outcome:
    if isinstance(last, RequestCanceled):
        return "canceled"
    return "failed" if isinstance(last, RbeeError) else "done"


def _instead(loaded: Loaded) -> str:
    """Why a model does not generate, and what to ask in place of it."""
    if loaded.model.is_diffusion():
        return "This model generates by diffusion, which rbee can't do: ask another model"
    if loaded.pooling == "rank":
        return "This model scores texts only: ask /v1/rerank"
    return "This model makes embeddings only: ask /v1/embeddings"
