"""The thread that owns llama.cpp: it loads the model, then computes batch after batch.

Requests come in through a queue; what a step yields goes back to the event loop in one hand-over.
Each step takes one token of every answer that is being made, and fills the rest of the batch with
prompts that are still to be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from rbee.contract.errors import Internal, ModelCorrupt, RbeeError
from rbee.contract.events import Done, Token
from rbee.worker.core.batching import prefill_chunk
from rbee.worker.services.loading import Loaded

if TYPE_CHECKING:  # llama.cpp is imported by the load, on the engine's thread: it takes a while
    from rbee.worker.adapters.llama import Context, Model
    from rbee.worker.services.sequence import Sequence

Yield: TypeAlias = Token | Done | RbeeError | None
Load: TypeAlias = Callable[[], Loaded]

_log = logging.getLogger("llm-worker-rbee")


class Begin(msgspec.Struct, frozen=True):
    """Work for a free slot; `make` builds its sequence on the engine's thread."""

    slot: int
    make: Callable[[Model], Sequence]


class Cancel(msgspec.Struct, frozen=True):
    """Stop the work in a slot; its last yield is None."""

    slot: int


class Engine:
    """`on_ready` is called with what was loaded, or with why nothing was; `on_yields` with what a
    step made: pairs of slot and yield. Both on the event loop. A Done, an error or None is
    a slot's last yield: it is free from then on."""

    def __init__(
        self,
        load: Load,
        on_ready: Callable[[Loaded | RbeeError], None],
        on_yields: Callable[[list[tuple[int, Yield]]], None],
    ) -> None:
        self._load = load
        self._on_ready = on_ready
        self._on_yields = on_yields
        self._loop = asyncio.get_running_loop()
        self._orders: queue.SimpleQueue[Begin | Cancel | None] = queue.SimpleQueue()
        self._running: dict[int, Sequence] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def order(self, order: Begin | Cancel) -> None:
        """Hand over an order; carried out before the next step."""
        self._orders.put(order)

    async def stop(self) -> None:
        """End the thread and free the model. Running work is dropped without a word."""
        self._orders.put(None)
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            loaded = self._load()
        except RbeeError as error:
            self._tell(self._on_ready, error)
            return
        except Exception:
            _log.exception("loading failed")
            self._tell(self._on_ready, ModelCorrupt(file="", reason="the load failed; see the log"))
            return
        model, context = loaded.model, loaded.context
        self._tell(self._on_ready, loaded)
        try:
            while self._obey(model, context):
                self._step(context)
        except Exception:
            _log.exception("the engine failed")
            self._give_up()
        finally:
            for sequence in self._running.values():
                sequence.free(context)
            context.free()
            model.free()

    def _give_up(self) -> None:
        """Nobody may wait for a thread that has ended: not what runs, nor what was just ordered."""
        slots = set(self._running)
        with contextlib.suppress(queue.Empty):
            while order := self._orders.get_nowait():
                slots.add(order.slot)
        error = Internal("llama.cpp's thread failed; its log says why.", correlation_id="")
        self._tell(self._on_yields, [(slot, error) for slot in slots])
        self._tell(self._on_ready, error)

    def _obey(self, model: Model, context: Context) -> bool:
        """Carry out the orders that wait; sleeps where there is nothing to compute."""
        while True:
            try:
                order = self._orders.get(block=not self._running)
            except queue.Empty:
                return True
            if order is None:
                return False
            if isinstance(order, Begin):
                self._running[order.slot] = order.make(model)
            elif order.slot in self._running:
                self._running.pop(order.slot).free(context)
                self._tell(self._on_yields, [(order.slot, None)])

    def _step(self, context: Context) -> None:
        context.clear_batch()
        answering = [s for s in self._running.values() if not s.unread]
        indices: list[tuple[Sequence, int]] = []
        room = context.batch_size
        for sequence in (*answering, *(s for s in self._running.values() if s.unread)):
            count = prefill_chunk(sequence.unread, len(answering), room) if sequence.unread else 1
            if count < 1 or room < 1:
                break
            index = sequence.put(context, count)
            room -= count
            if index is not None:
                indices.append((sequence, index))
        code = context.decode()
        if code != 0:
            self._fail(context, code)
            return
        yields: list[tuple[int, Yield]] = []
        for sequence, index in indices:
            token, done = sequence.take(context, index)
            if token is not None:
                yields.append((sequence.slot, token))
            if done is not None:
                self._running.pop(sequence.slot).free(context)
                yields.append((sequence.slot, done))
        if yields:
            self._tell(self._on_yields, yields)

    def _fail(self, context: Context, code: int) -> None:
        """A batch that llama.cpp refuses says nothing of who is to blame: all of it ends."""
        _log.error("llama_decode returned %d with %d sequences", code, len(self._running))
        error = Internal(f"llama.cpp could not compute (code {code}).", correlation_id="")
        slots = list(self._running)
        for slot in slots:
            self._running.pop(slot).free(context)
        self._tell(self._on_yields, [(slot, error) for slot in slots])

    def _tell(self, listener: Callable[..., None], *news: object) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended: nobody listens any more.
            self._loop.call_soon_threadsafe(listener, *news)
