"""The thread that owns llama.cpp: it loads the model, then computes batch after batch.

Requests come in through a queue; the outputs of a step go back to the event loop in one call. Each
step decodes one token of every answer that is being made, and then prefills a chunk of the prompts
that are still to be read. While one prompt is read and nothing else is to be done, a step is
longer, and interrupted by whatever comes. Embeddings are computed between the steps, a chunk at a
time.
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
from typing import TYPE_CHECKING, Literal, TypeAlias

from rbee.contract.errors import Internal, RbeeError, RequestCanceled
from rbee.runtime.memory import main_memory
from rbee.worker.engine.batching import Pace, share_out
from rbee.worker.engine.compute_errors import not_numbers, refused
from rbee.worker.engine.request import Counts, Output, Outputs, Request

if TYPE_CHECKING:  # a worker listens before it imports these
    from rbee.worker.engine.embedding import Embedding
    from rbee.worker.engine.load import Loaded
    from rbee.worker.engine.sequence import Sequence
    from rbee.worker.engine.slots import Slots

Load: TypeAlias = "Callable[[], Loaded]"

_BROKEN = Internal("llama.cpp's thread failed; its log says why.", correlation_id="")
_UNREADABLE = Internal("The answer can't be read; the worker's log says why.", correlation_id="")
_log = logging.getLogger("llm-worker-rbee")


class Engine:
    """Computes the requests that are submitted to it.

    It calls `on_ready` with what was loaded, or with the error of the load, and `on_outputs` with
    the outputs of each step, both on the event loop. No more answers may run at once than `slots`.
    """

    def __init__(
        self,
        load: Load,
        slots: int,
        on_ready: Callable[[Loaded | RbeeError], None],
        on_outputs: Callable[[Outputs], None],
        prompt_cache_bytes: int = 0,
    ) -> None:
        self.counts = Counts()
        self._load = load
        self._slot_count = slots
        self._prompt_cache_bytes = prompt_cache_bytes
        self._on_ready = on_ready
        self._on_outputs = on_outputs
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[tuple[Literal["begin", "cancel"], Request] | None]
        self._inbox = queue.SimpleQueue()
        self._sequences: dict[Request, Sequence] = {}
        self._embeddings: dict[Request, Embedding] = {}
        self._broken = False
        self._left_over: Loaded | None = None
        # Whether the cache may hold what is not a number.
        self._spoiled = False
        # The load is logged under the correlation id of the request that started the worker.
        self._variables = contextvars.copy_context()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Begin a request before the next step."""
        self._send("begin", request)

    def cancel(self, request: Request) -> None:
        """Stop a request before the next step. Its last output is REQUEST_CANCELED, unless it has
        ended by then."""
        self._send("cancel", request)

    async def stop(self) -> None:
        """End the thread and free the model. Running requests get no further output."""
        self._inbox.put(None)
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)
        if self._left_over is not None:
            self._left_over.free()
            self._left_over = None

    def _send(self, what: Literal["begin", "cancel"], request: Request) -> None:
        self._inbox.put((what, request))
        if self._broken:
            self._emit([(request, _BROKEN)])

    def _run(self) -> None:
        loaded = self._variables.run(self._load_or_report)
        if loaded is None:
            return
        from rbee.worker.engine.prompt_cache import PromptCache
        from rbee.worker.engine.slots import Slots

        pace = loaded.pace()
        can_cut = loaded.model.can_cut()
        prompts = PromptCache(self._prompt_cache_bytes, can_cut, lambda: main_memory().available)
        slots = Slots(loaded.context, self._slot_count, can_cut, pace.border, prompts)
        self._variables.run(self._report, loaded)
        try:
            while self._receive(loaded, slots):
                if self._sequences:
                    self._step(loaded, pace)
                if self._embeddings:
                    self._embed(pace)
                self.counts.held = slots.held
        except Exception:
            _log.exception("the engine failed")
            self._give_up()
        finally:
            for sequence in self._sequences.values():
                sequence.free()
            for embedding in self._embeddings.values():
                embedding.free()
            if self._broken:
                # Others may still tokenize, or ask for facts of the model.
                self._left_over = loaded
            else:
                loaded.free()

    def _load_or_report(self) -> Loaded | None:
        try:
            return self._load()
        except RbeeError as error:
            self._report(error)
        except Exception:
            _log.exception("loading failed")
            self._report(Internal("Loading failed; the worker's log says why.", correlation_id=""))
        return None

    def _give_up(self) -> None:
        """Fail every request, running or still in the inbox: no one may wait for a dead thread."""
        self._broken = True
        requests = {*self._sequences, *self._embeddings}
        with contextlib.suppress(queue.Empty):
            while message := self._inbox.get_nowait():
                requests.add(message[1])
        self._emit([(request, _BROKEN) for request in requests])
        self._report(_BROKEN)

    def _receive(self, loaded: Loaded, slots: Slots) -> bool:
        """Begin and cancel what the inbox asks for, and sleep while there is nothing to compute.
        Returns False at the engine's end."""
        while True:
            try:
                message = self._inbox.get(block=not self._sequences and not self._embeddings)
            except queue.Empty:
                return True
            match message:
                case None:
                    return False
                case "begin", request:
                    self._begin(request, loaded, slots)
                case "cancel", request:
                    self._cancel(request)

    def _begin(self, request: Request, loaded: Loaded, slots: Slots) -> None:
        from rbee.worker.engine.sequence import Sequence

        try:
            if request.inference is None:  # NumPy takes a while, and most workers need none
                from rbee.worker.engine.embedding import Embedding

                self._embeddings[request] = Embedding(loaded, request.texts)
                return
            if self._spoiled and not self._sequences:
                slots.clear()
                self._spoiled = False
            sequence = Sequence(loaded, slots, request, request.inference)
        except RbeeError as error:
            self._emit([(request, error)])
            return
        except Exception:
            self._emit([(request, _BROKEN)])
            raise
        self._sequences[request] = sequence
        self.counts.cached += sequence.cached
        self.counts.saved, self.counts.saved_bytes = slots.saved

    def _cancel(self, request: Request) -> None:
        work = self._sequences.pop(request, None) or self._embeddings.pop(request, None)
        if work is not None:
            work.free()
            self._emit([(request, RequestCanceled())])

    def _step(self, loaded: Loaded, pace: Pace) -> None:
        context = loaded.context
        decoding = {r: s for r, s in self._sequences.items() if not s.unread}
        reading = {r: s for r, s in self._sequences.items() if s.unread}
        shares: list[int] = []
        is_long = False
        if reading:
            position = max(sequence.position for sequence in reading.values())
            room = context.batch_size - len(decoding)
            chunk = pace.chunk(position, len(decoding))
            unread = [sequence.unread for sequence in reading.values()]
            if context.interruptible and self._is_alone(list(reading.values())):
                long = pace.long_chunk(position)
                is_long = chunk < min(long, *unread)
                chunk = long if is_long else chunk
            shares = share_out(min(chunk, room), unread)
        context.clear_batch()
        began, computed = time.perf_counter(), time.thread_time()
        ready = [(request, sequence, sequence.decode()) for request, sequence in decoding.items()]
        for (request, sequence), count in zip(reading.items(), shares, strict=True):
            index = sequence.prefill(count, is_long) if count else None
            if index is not None:
                ready.append((request, sequence, index))
        code = context.decode_unless(self._has_news) if is_long else context.decode()
        if code is None:
            for sequence, count in zip(reading.values(), shares, strict=True):
                sequence.take_back(count)
            return
        if code != 0:
            self._fail(loaded, code)
            return
        read = sum(shares)
        self.counts.read += read
        took_s, cpu_s = time.perf_counter() - began, time.thread_time() - computed
        pace.note(len(decoding), read, took_s, cpu_s)
        progress = ((request, sequence.progress()) for request, sequence in reading.items())
        self._sample(loaded, ready, [(request, told) for request, told in progress if told])

    def _is_alone(self, reading: list[Sequence]) -> bool:
        """Whether one prompt is read and nothing else is to be done. It must not be one that is
        read in steps of a fixed size, or that has been interrupted, again and again perhaps."""
        others = len(self._sequences) + len(self._embeddings) - 1
        return not others and any(each.may_be_interrupted for each in reading)

    def _has_news(self) -> bool:
        return not self._inbox.empty()

    def _sample(
        self, loaded: Loaded, ready: list[tuple[Request, Sequence, int]], outputs: Outputs
    ) -> None:
        for request, sequence, index in ready:
            if not loaded.context.has_numbers(index):
                self._spoiled = True
                self._sequences.pop(request).free(keep_cache=False)
                outputs.append((request, not_numbers(loaded.header.file)))
                continue
            before = sequence.made
            try:
                tokens, done = sequence.sample(index)
            except RbeeError as error:
                self._sequences.pop(request).free()
                outputs.append((request, error))
                continue
            except Exception:
                # What a model writes must not end the answers to others.
                _log.exception("an answer could not be read")
                self._sequences.pop(request).free()
                outputs.append((request, _UNREADABLE))
                continue
            outputs += [(request, token) for token in tokens]
            self.counts.made += sequence.made - before
            if done is not None:
                self._sequences.pop(request).free()
                outputs.append((request, done))
        if outputs:
            self._emit(outputs)

    def _embed(self, pace: Pace) -> None:
        """Compute a step of the request that has waited longest for one."""
        request, embedding = next(iter(self._embeddings.items()))
        output: Output | None
        try:
            output = embedding.step(pace, len(self._sequences))
        except RbeeError as error:
            output = error
        del self._embeddings[request]
        if output is None:
            self._embeddings[request] = embedding  # behind the others
        else:
            embedding.free()
            self._emit([(request, output)])

    def _fail(self, loaded: Loaded, code: int) -> None:
        """End all answers: llama.cpp does not say which of them made it refuse the batch."""
        _log.error("llama_decode returned %d with %d sequences", code, len(self._sequences))
        error = refused(loaded.header.file, code)
        self._spoiled = True
        requests = list(self._sequences)
        for request in requests:
            self._sequences.pop(request).free(keep_cache=False)
        self._emit([(request, error) for request in requests])

    def _emit(self, outputs: Outputs) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._on_outputs, outputs)

    def _report(self, outcome: Loaded | RbeeError) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._on_ready, outcome)
