"""The load, step by step, and its progress as layers.

llama.cpp tells no progress while it maps a file: all its calls come at the end. So the file is read
through first, in order, which is what the load would wait for anyway, and each layer counts as
loaded when its last tensor has been read. Without mmap llama.cpp's own progress is told.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import msgspec
import psutil

from rbee.contract.errors import RbeeError, ShuttingDown
from rbee.contract.events import Event, Loading
from rbee.gguf.header import Header, context_length, read
from rbee.runtime.broadcast import Broadcast
from rbee.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from rbee.worker.adapters.chat import ChatTemplate
    from rbee.worker.adapters.llama import Context, Model

_CHUNK = 8 << 20
_MB = 1_000_000


class Loaded(msgspec.Struct, frozen=True):
    """What can answer, from the end of the load on."""

    model: Model
    context: Context
    chat: ChatTemplate


class Progress:
    """The latest progress, and everyone who wants to hear of the next. On the event loop."""

    def __init__(self) -> None:
        self._latest: Loading | None = None
        self._ended: RbeeError | None = None
        self._listeners: Broadcast[Loading | RbeeError] = Broadcast()

    def tell(self, loading: Loading) -> None:
        """Progress; nothing is told after the end."""
        if self._ended is None and (self._latest is None or self._latest.stage != "ready"):
            self._latest = loading
            self._listeners.send(loading)

    def fail(self, error: RbeeError) -> None:
        self._ended = error
        self._listeners.send(error)

    async def listen(self) -> AsyncIterator[Event | None]:
        """The latest at once, then each step up to `ready`; raises why the load failed."""
        with self._listeners.listen() as coming:
            if self._ended is not None:
                raise self._ended
            yield self._latest
            if self._latest is not None and self._latest.stage == "ready":
                return
            async for news in coming:
                if isinstance(news, RbeeError):
                    raise news
                yield news
                if news.stage == "ready":
                    return


class Load:
    """Loads on the engine's thread. `stop` makes the load give up at its next step."""

    def __init__(self, settings: WorkerSettings, tell: Callable[[Loading], None]) -> None:
        self._settings = settings
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._told = -1
        self._ends: list[int] = []

    def stop(self) -> None:
        self._stopped = True

    def __call__(self) -> Loaded:
        """Check the header, read the file, load the model, make its context.

        Raises MODEL_NOT_FOUND, UNSUPPORTED_MODEL_FORMAT, MODEL_CORRUPT, BACKEND_UNAVAILABLE.
        """
        # Late, and here on the engine's thread: the worker listens before llama.cpp is there.
        from rbee.worker.adapters.chat import ChatTemplate
        from rbee.worker.adapters.llama import Context, Model

        wanted = self._settings
        header = read(wanted.model)
        self._ends = header.layer_ends()
        self._step(header, 0)
        if wanted.mmap:
            self._read_through(header)
        model = Model(
            wanted.model,
            wanted.backend,
            wanted.device,
            wanted.mmap,
            lambda part: self._native(header, part),
        )
        if self._stopped:
            model.free()
            raise ShuttingDown
        try:
            tokens = context_length(wanted.context, header.context_length)
            context = Context(model, tokens, wanted.slots, wanted.threads or _cores())
        except RbeeError:
            model.free()
            raise
        bos, eos = model.special_text("bos"), model.special_text("eos")
        return Loaded(model, context, ChatTemplate(model.chat_template(), bos, eos))

    def _read_through(self, header: Header) -> None:
        buffer = bytearray(_CHUNK)
        done = 0
        with self._settings.model.open("rb", buffering=0) as file:
            while (count := file.readinto(buffer)) and not self._stopped:
                done += count
                self._step(header, done)

    def _native(self, header: Header, part: float) -> bool:
        if not self._settings.mmap:
            self._step(header, int(header.size_bytes * part))
        return not self._stopped

    def _step(self, header: Header, done: int) -> None:
        """Tell how far it is, once for each layer; from the engine's thread."""
        ends = self._ends
        layers = len(ends) if done >= header.size_bytes else bisect.bisect_right(ends, done)
        if layers == self._told:
            return
        self._told = layers
        news = Loading("loading_to_vram", layers, len(ends), round(done / _MB, 1))
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._tell, news)


def _cores() -> int:
    return int(psutil.cpu_count(logical=False) or psutil.cpu_count() or 1)
