"""Requests on the event loop's side: a slot for each, its events, its cancelling, its end."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from collections.abc import Sequence as Tokens
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from rbee.contract.errors import (
    AllSlotsBusy,
    InvalidRequest,
    RbeeError,
    RequestCanceled,
    ShuttingDown,
)
from rbee.contract.events import Accepted, Event, Token
from rbee.contract.tasks import InferenceRequest, keep_alive_s
from rbee.contract.workers import WorkerStatus
from rbee.runtime.broadcast import Broadcast
from rbee.worker.core.admission import reserve, take_slot
from rbee.worker.services.engine import Begin, Cancel, Engine, Yield
from rbee.worker.services.loading import Loaded

if TYPE_CHECKING:
    from rbee.worker.adapters.llama import Model
    from rbee.worker.services.sequence import Sequence


_READERS = 2


class _Running(msgspec.Struct):
    """A request in a slot. `room` is how many tokens of the context are reserved for it; `begun`
    is set when the engine has it; `yields` holds at most what fits into the context."""

    slot: int
    yields: asyncio.Queue[Yield]
    room: int = 0
    begun: bool = False
    why: RbeeError | None = None


class Inference:
    """The only owner of the slots. `status` is told whenever what it says changes."""

    def __init__(self, slots: int, events: Broadcast[Event]) -> None:
        self._slots = slots
        self._events = events
        self._loaded: Loaded | None = None
        self._engine: Engine | None = None
        self._running: dict[str, _Running] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._keep_alive_s: float | None = None
        # Of its own, so that long prompts can not take every thread of the program.
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="prompt")

    def open(self, loaded: Loaded, engine: Engine) -> None:
        """The model is there: requests are taken from here on."""
        self._loaded, self._engine = loaded, engine
        self._events.send(self.status())

    def status(self) -> WorkerStatus:
        """What the worker does now."""
        if self._loaded is None:
            return WorkerStatus("loading", self._slots, 0)
        free = self._slots - len(self._running)
        state = "busy" if self._running else "idle"
        return WorkerStatus(state, self._slots, free, self._keep_alive_s)  # type: ignore[arg-type]

    async def answer(self, request: InferenceRequest) -> AsyncIterator[Event]:
        """The events of one request. Raises ALL_SLOTS_BUSY, PROMPT_TOO_LONG and INVALID_REQUEST
        before the first one; what goes wrong later, REQUEST_CANCELED too, is raised then."""
        asked_at = time.monotonic()
        if self._loaded is None or self._engine is None:
            raise AllSlotsBusy(
                "The worker is still loading.",
                slots_total=self._slots,
                slots_busy=self._slots,
                waiting=0,
            )
        loaded, engine = self._loaded, self._engine
        request_id = request.request_id or secrets.token_hex(8)
        running = self._admit(request_id)
        try:
            prompt = await asyncio.get_running_loop().run_in_executor(
                self._readers, _tokens, loaded, request
            )
            if running.why is not None:
                raise running.why
            running.room = self._reserve(request, len(prompt), loaded.context.tokens)
        except BaseException:
            self._release(request_id)
            raise
        running.begun = True
        self._keep_alive_s = (
            None if request.keep_alive is None else keep_alive_s(request.keep_alive)
        )
        engine.order(Begin(running.slot, _sequence(running, request, prompt, asked_at)))
        last = False
        try:
            yield Accepted(request_id)
            while not last:
                event = await running.yields.get()
                last = not isinstance(event, Token)
                if event is None:
                    raise running.why or RequestCanceled()
                if isinstance(event, RbeeError):
                    raise event
                yield event
        finally:
            # By now the slot may be somebody else's.
            if not last and self._running.get(request_id) is running:
                engine.order(Cancel(running.slot))

    def cancel(self, request_id: str, why: RbeeError | None = None) -> None:
        """Stop a request; one that does not run any more is no error."""
        running = self._running.get(request_id)
        if running is not None and self._engine is not None:
            running.why = why or RequestCanceled()
            if running.begun:
                self._engine.order(Cancel(running.slot))

    def take(self, yields: list[tuple[int, Yield]]) -> None:
        """What a step of the engine made, on its way to the streams."""
        by_slot = {running.slot: name for name, running in self._running.items()}
        for slot, event in yields:
            if (name := by_slot.get(slot)) is None:
                continue  # ended already
            running = self._running[name]
            if not isinstance(event, Token):
                # Free before the end is told: who has seen the end finds the slot free.
                self._release(name)
            running.yields.put_nowait(event)

    async def empty(self) -> None:
        """Wait until no request runs."""
        await self._empty.wait()

    def cut(self) -> None:
        """End every running request with SHUTTING_DOWN."""
        for request_id in list(self._running):
            self.cancel(request_id, ShuttingDown("The worker is shutting down."))

    async def settle(self) -> None:
        """Wait for prompts that are still being read: the model must not be freed under them."""
        await asyncio.to_thread(self._readers.shutdown)

    def _admit(self, request_id: str) -> _Running:
        """A slot, before any work is done for the request."""
        if request_id in self._running:
            told = "A request with this id is running"
            raise InvalidRequest.of("request_id", "unique", told, request_id)
        slot = take_slot({running.slot for running in self._running.values()}, self._slots)
        running = self._running[request_id] = _Running(slot, asyncio.Queue())
        self._changed()
        return running

    def _reserve(self, request: InferenceRequest, prompt: int, context: int) -> int:
        """Room in the context, once the prompt's length is known."""
        if prompt == 0:
            raise InvalidRequest.of("prompt", "at least one token", "The prompt has no tokens")
        taken = [running.room for running in self._running.values() if running.begun]
        return reserve(prompt, request.max_tokens, context, taken, self._slots)

    def _release(self, request_id: str) -> None:
        del self._running[request_id]
        self._changed()

    def _changed(self) -> None:
        if self._running:
            self._empty.clear()
        else:
            self._empty.set()
        self._events.send(self.status())


def _sequence(
    running: _Running, request: InferenceRequest, prompt: Tokens[int], asked_at: float
) -> Callable[[Model], Sequence]:
    def make(model: Model) -> Sequence:
        from rbee.worker.services.sequence import Sequence

        return Sequence(model, running.slot, request, prompt, running.room, asked_at)

    return make


def _tokens(loaded: Loaded, request: InferenceRequest) -> list[int]:
    """The prompt's token ids. Runs on a thread: a long prompt takes its time."""
    if request.messages is None:
        return loaded.model.tokenize(request.prompt or "")
    text = loaded.chat.render(request.messages)
    bos = loaded.model.special_text("bos")
    if bos and loaded.model.adds_bos():
        text = text.removeprefix(bos)
    return loaded.model.tokenize(text)
