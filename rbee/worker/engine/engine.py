"""The thread that owns llama.cpp: it loads the model, then computes batch after batch.

Requests come in through a queue; what a step yields goes back to the event loop in one hand-over.
Each step takes one token of every answer that is being made, and then a chunk of the prompts that
are still to be read. Embeddings are computed between the steps, a chunk at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from rbee.contract.errors import Internal, ModelCorrupt, RbeeError
from rbee.contract.events import Done, Token
from rbee.contract.tasks import InferenceRequest
from rbee.worker.engine.batching import Pace, share_out
from rbee.worker.engine.load import Loaded
from rbee.worker.engine.slots import Slots

if TYPE_CHECKING:  # llama.cpp is imported by the load, on the engine's thread: it takes a while
    from rbee.worker.engine.embedding import Embedding
    from rbee.worker.engine.sequence import Sequence

Vectors: TypeAlias = list[list[float]]
Yield: TypeAlias = Token | Done | Vectors | RbeeError | None
Load: TypeAlias = Callable[[], Loaded]

_BROKEN = Internal("llama.cpp's thread failed; its log says why.", correlation_id="")
_log = logging.getLogger("llm-worker-rbee")


class Begin(msgspec.Struct, frozen=True):
    """An answer to make, under a name of its own; `room` tokens of the context are its."""

    name: str
    request: InferenceRequest
    prompt: list[int]
    room: int
    asked_at: float


class Embed(msgspec.Struct, frozen=True):
    """Texts to make vectors of, each at least one token long."""

    name: str
    texts: list[list[int]]


class Cancel(msgspec.Struct, frozen=True):
    """Stop the work of that name; its last yield is None."""

    name: str


class Counts(msgspec.Struct):
    """What the engine has done so far, in tokens, and how many the KV cache holds now."""

    read: int = 0
    cached: int = 0
    made: int = 0
    held: int = 0


class Engine:
    """`on_ready` is called with what was loaded, or with why nothing was; `on_yields` with what a
    step made: pairs of name and yield. Both on the event loop. Anything but a Token is the last
    yield of its name. No more answers may run at once than `slots`."""

    def __init__(
        self,
        load: Load,
        slots: int,
        on_ready: Callable[[Loaded | RbeeError], None],
        on_yields: Callable[[list[tuple[str, Yield]]], None],
    ) -> None:
        self.counts = Counts()
        self._load = load
        self._slot_count = slots
        self._on_ready = on_ready
        self._on_yields = on_yields
        self._loop = asyncio.get_running_loop()
        self._orders: queue.SimpleQueue[Begin | Embed | Cancel | None] = queue.SimpleQueue()
        self._running: dict[str, Sequence] = {}
        self._embedding: dict[str, Embedding] = {}
        self._broken = False
        # Of what starts the worker: its load is logged under that correlation id.
        self._beginning = contextvars.copy_context()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def order(self, order: Begin | Embed | Cancel) -> None:
        """Hand over an order; carried out before the next step."""
        self._orders.put(order)
        if self._broken:
            self._tell(self._on_yields, [(order.name, _BROKEN)])

    async def stop(self) -> None:
        """End the thread and free the model. Running work is dropped without a word."""
        self._orders.put(None)
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        loaded = self._beginning.run(self._load_or_tell)
        if loaded is None:
            return
        pace = Pace(loaded.token_s, loaded.model.doubled_at(), loaded.context.batch_size)
        parts = loaded.model.keeps_parts()
        slots = Slots(loaded.context, self._slot_count, parts, pace.border)
        self._beginning.run(self._tell, self._on_ready, loaded)
        try:
            while self._obey(loaded, slots):
                if self._running:
                    self._step(loaded, pace)
                if self._embedding:
                    self._embed(pace)
                self.counts.held = slots.held
        except Exception:
            _log.exception("the engine failed")
            self._give_up()
        finally:
            for sequence in self._running.values():
                sequence.free()
            for embedding in self._embedding.values():
                embedding.free()
            loaded.free()

    def _give_up(self) -> None:
        """Nobody may wait for a thread that has ended: not what runs, nor what was just ordered."""
        self._broken = True
        names = {*self._running, *self._embedding}
        with contextlib.suppress(queue.Empty):
            while order := self._orders.get_nowait():
                names.add(order.name)
        self._tell(self._on_yields, [(name, _BROKEN) for name in names])
        self._tell(self._on_ready, _BROKEN)

    def _load_or_tell(self) -> Loaded | None:
        """The load; None where it failed, which has been told then."""
        try:
            return self._load()
        except RbeeError as error:
            self._tell(self._on_ready, error)
        except Exception:
            _log.exception("loading failed")
            self._tell(self._on_ready, ModelCorrupt(file="", reason="the load failed; see the log"))
        return None

    def _obey(self, loaded: Loaded, slots: Slots) -> bool:
        """Carry out the orders that wait; sleeps where there is nothing to compute."""
        while True:
            try:
                order = self._orders.get(block=not self._running and not self._embedding)
            except queue.Empty:
                return True
            match order:
                case None:
                    return False
                case Begin() | Embed():
                    try:
                        self._begin(order, loaded, slots)
                    except Exception as error:
                        known = error if isinstance(error, RbeeError) else _BROKEN
                        self._tell(self._on_yields, [(order.name, known)])
                        if known is _BROKEN:
                            raise
                case Cancel() if sequence := self._running.pop(order.name, None):
                    sequence.free()
                    self._tell(self._on_yields, [(order.name, None)])
                case Cancel() if embedding := self._embedding.pop(order.name, None):
                    embedding.free()
                    self._tell(self._on_yields, [(order.name, None)])

    def _begin(self, order: Begin | Embed, loaded: Loaded, slots: Slots) -> None:
        if isinstance(order, Embed):
            from rbee.worker.engine.embedding import Embedding

            self._embedding[order.name] = Embedding(loaded, order.texts)
            return
        from rbee.worker.engine.sequence import Sequence

        sequence = Sequence(
            loaded.model, slots, order.request, order.prompt, order.room, order.asked_at
        )
        self._running[order.name] = sequence
        self.counts.cached += sequence.cached

    def _step(self, loaded: Loaded, pace: Pace) -> None:
        context = loaded.context
        answering = {name: s for name, s in self._running.items() if not s.unread}
        reading = {name: s for name, s in self._running.items() if s.unread}
        shares: list[int] = []
        if reading:
            position = max(sequence.position for sequence in reading.values())
            room = context.batch_size - len(answering)
            budget = min(pace.chunk(position, len(answering)), room)
            shares = share_out(budget, [sequence.unread for sequence in reading.values()])
        context.clear_batch()
        began = time.perf_counter()
        asked = [(name, sequence, sequence.go_on(context)) for name, sequence in answering.items()]
        for (name, sequence), count in zip(reading.items(), shares, strict=True):
            index = sequence.read(context, count) if count else None
            if index is not None:
                asked.append((name, sequence, index))
        code = context.decode()
        if code != 0:
            self._fail(code)
            return
        read = sum(shares)
        self.counts.read += read
        pace.note(len(answering), read, time.perf_counter() - began)
        self._sample(loaded, asked)

    def _sample(self, loaded: Loaded, asked: list[tuple[str, Sequence, int]]) -> None:
        yields: list[tuple[str, Yield]] = []
        for name, sequence, index in asked:
            token, done = sequence.take(loaded.context, index)
            if token is not None:
                yields.append((name, token))
            self.counts.made += done is None or done.stop_reason != "EOS"
            if done is not None:
                self._running.pop(name).free()
                yields.append((name, done))
        if yields:
            self._tell(self._on_yields, yields)

    def _embed(self, pace: Pace) -> None:
        """A chunk of the text that has waited longest."""
        name, embedding = next(iter(self._embedding.items()))
        done: Yield
        try:
            done = embedding.step(pace, len(self._running))
        except RbeeError as error:
            done = error
        if done is not None:
            self._embedding.pop(name).free()
            self._tell(self._on_yields, [(name, done)])

    def _fail(self, code: int) -> None:
        """A batch that llama.cpp refuses says nothing of who is to blame: all of it ends."""
        _log.error("llama_decode returned %d with %d sequences", code, len(self._running))
        error = Internal(f"llama.cpp could not compute (code {code}).", correlation_id="")
        names = list(self._running)
        for name in names:
            self._running.pop(name).free(whole=False)
        self._tell(self._on_yields, [(name, error) for name in names])

    def _tell(self, listener: Callable[..., None], *news: object) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended: nobody listens any more.
            self._loop.call_soon_threadsafe(listener, *news)
