"""The requests that run: a slot for each, what the engine makes of it, its cancelling, its end."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from rbee.contract.errors import (
    AllSlotsBusy,
    InvalidRequest,
    RbeeError,
    RequestCanceled,
    ShuttingDown,
)
from rbee.contract.events import Event, Token
from rbee.contract.workers import WorkerStatus
from rbee.runtime.broadcast import Broadcast
from rbee.worker.engine.engine import Begin, Cancel, Counts, Embed, Engine, Yield
from rbee.worker.engine.load import Loaded
from rbee.worker.requests.admission import check_slot, reserve
from rbee.worker.requests.metrics import Metrics, Outcome


class Running(msgspec.Struct):
    """A request in a slot. `room` is how many tokens of the context are reserved for it; `begun`
    is set when the engine has it, `over` when nothing more comes; `yields` holds at most what fits
    into the context. Moments are seconds of the monotonic clock."""

    name: str
    yields: asyncio.Queue[Yield]
    asked_at: float
    token_at: float | None = None
    room: int = 0
    begun: bool = False
    over: bool = False
    why: RbeeError | None = None


class Requests:
    """The only owner of the slots. Listeners of `events` hear of every change of `status`."""

    def __init__(self, slots: int, events: Broadcast[Event]) -> None:
        self.metrics = Metrics(self._counts, self.status)
        self._slots = slots
        self._events = events
        self._loaded: Loaded | None = None
        self._engine: Engine | None = None
        self._running: dict[str, Running] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._keep_alive_s: float | None = None

    def open(self, loaded: Loaded, engine: Engine) -> None:
        """The model is there: requests are taken from here on."""
        self._loaded, self._engine = loaded, engine
        self._events.send(self.status())

    @property
    def loaded(self) -> Loaded:
        """What answers; raises ALL_SLOTS_BUSY while it is still loading."""
        if self._loaded is None:
            told = "The worker is still loading."
            raise AllSlotsBusy(told, slots_total=self._slots, slots_busy=self._slots, waiting=0)
        return self._loaded

    def status(self) -> WorkerStatus:
        """What the worker does now."""
        if self._loaded is None:
            return WorkerStatus("loading", self._slots, 0)
        free = self._slots - len(self._running)
        state = "busy" if self._running else "idle"
        return WorkerStatus(state, self._slots, free, self._keep_alive_s)  # type: ignore[arg-type]

    @asynccontextmanager
    async def admitted(self, request_id: str | None) -> AsyncIterator[Running]:
        """A slot for the block, taken before any work is done; raises ALL_SLOTS_BUSY.

        A block that is left before the end stops the engine's work; the slot is free when that is
        done.
        """
        name = request_id or secrets.token_hex(8)
        if name in self._running:
            told = "A request with this id is running"
            raise InvalidRequest.of("request_id", "unique", told, name)
        try:
            check_slot(len(self._running), self._slots)
        except AllSlotsBusy:
            self.metrics.ended("refused")
            raise
        running = self._running[name] = Running(name, asyncio.Queue(), time.monotonic())
        self._changed()
        outcome: Outcome = "canceled"
        try:
            yield running
        except RbeeError:
            outcome = "canceled" if running.why else "refused"
            raise
        finally:
            if running.begun and not running.over:
                self._order(Cancel(name))
            elif not running.over:
                self._release(running, outcome)

    def reserve(self, running: Running, prompt: int, max_tokens: int) -> None:
        """Room in the context, once the prompt's length is known; raises PROMPT_TOO_LONG and
        ALL_SLOTS_BUSY."""
        taken = [other.room for other in self._running.values() if other.begun]
        running.room = reserve(prompt, max_tokens, self.loaded.context.tokens, taken, self._slots)

    def begin(self, running: Running, order: Begin | Embed, keep_alive_s: float | None) -> None:
        """Hand the request to the engine, unless it was canceled meanwhile."""
        if running.why is not None:
            raise running.why
        running.begun = True
        self._keep_alive_s = keep_alive_s
        self._order(order)

    async def next(self, running: Running) -> Yield:
        """What the engine yields next; what went wrong is raised, REQUEST_CANCELED too."""
        event = await running.yields.get()
        if event is None:
            raise running.why or RequestCanceled()
        if isinstance(event, RbeeError):
            raise event
        return event

    def cancel(self, request_id: str, why: RbeeError | None = None) -> None:
        """Stop a request; one that does not run any more is no error."""
        if running := self._running.get(request_id):
            running.why = why or RequestCanceled()
            if running.begun:
                self._order(Cancel(request_id))

    def take(self, yields: list[tuple[str, Yield]]) -> None:
        """What a step of the engine made, on its way to the streams."""
        now = time.monotonic()
        for name, event in yields:
            if (running := self._running.get(name)) is None:
                continue
            if isinstance(event, Token):
                self._clock(running, now)
            else:
                # Free before the end is told: who has seen the end finds the slot free.
                self._release(running, _outcome(event))
            running.yields.put_nowait(event)

    async def empty(self) -> None:
        """Wait until no request runs."""
        await self._empty.wait()

    def cut(self) -> None:
        """End every running request with SHUTTING_DOWN."""
        for request_id in list(self._running):
            self.cancel(request_id, ShuttingDown("The worker is shutting down."))

    def _order(self, order: Begin | Embed | Cancel) -> None:
        assert self._engine is not None  # whoever orders has met `loaded`
        self._engine.order(order)

    def _counts(self) -> Counts:
        return self._engine.counts if self._engine else Counts()

    def _clock(self, running: Running, now: float) -> None:
        if running.token_at is None:
            self.metrics.first_token_s.observe(now - running.asked_at)
        else:
            self.metrics.token_s.observe(now - running.token_at)
        running.token_at = now

    def _release(self, running: Running, outcome: Outcome) -> None:
        running.over = True
        del self._running[running.name]
        self.metrics.ended(outcome)
        self._changed()

    def _changed(self) -> None:
        if self._running:
            self._empty.clear()
        else:
            self._empty.set()
        self._events.send(self.status())


def _outcome(last: Yield) -> Outcome:
    if last is None:
        return "canceled"
    return "failed" if isinstance(last, RbeeError) else "done"
