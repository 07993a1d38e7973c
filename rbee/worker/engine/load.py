"""The load, step by step, and its progress as layers.

llama.cpp tells no progress while it maps a file: all its calls come at the end. So the file is read
through first, in order, which is what the load would wait for anyway, and each layer counts as
loaded when its last tensor has been read. Of a split model that is every part, one after another:
llama.cpp finds them by the first one's name. Without mmap llama.cpp's own progress is told.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec
import psutil

from rbee.contract.errors import RbeeError, ShuttingDown
from rbee.contract.events import Loading
from rbee.contract.workers import ModelFacts
from rbee.gguf.header import Header, context_length
from rbee.gguf.reading import read
from rbee.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from rbee.worker.model.chat_template import ChatTemplate
    from rbee.worker.model.context import Context
    from rbee.worker.model.llama import Model

T = TypeVar("T")

_CHUNK = 8 << 20
_MB = 1_000_000


class Loaded(msgspec.Struct, frozen=True):
    """What can answer, from the end of the load on. `token_s` is how many seconds a token of a
    prompt takes here, at the beginning of the context."""

    header: Header
    model: Model
    context: Context
    chat: ChatTemplate
    threads: int
    token_s: float

    def free(self) -> None:
        """Give the memory back; nothing else may be called after it."""
        self.context.free()
        self.model.free()


class Load:
    """Loads on the engine's thread. `stop` makes the load give up at its next step."""

    def __init__(
        self,
        settings: WorkerSettings,
        tell: Callable[[Loading], None],
        say: Callable[[str], None],
    ) -> None:
        """`tell` hears of progress and `say` what model it is, both on the event loop."""
        self._settings = settings
        self._tell = tell
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._told = -1
        self._ends: list[int] = []

    def stop(self) -> None:
        self._stopped = True

    def __call__(self) -> Loaded:
        """Check the header, read the file, load the model, make its context.

        Raises what `read` raises, MODEL_CORRUPT and BACKEND_UNAVAILABLE.
        """
        # Late, and here on the engine's thread: the worker listens before llama.cpp is there.
        from rbee.worker.model.chat_template import ChatTemplate
        from rbee.worker.model.context import Context
        from rbee.worker.model.llama import Model

        wanted = self._settings
        header = read(wanted.model)
        self._ends = header.layer_ends()
        self._hand_over(self._say, _described(header))
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
        threads = wanted.threads or _cores()
        try:
            tokens = context_length(wanted.context, header.context_length)
            context = Context(model, tokens, wanted.slots, threads)
        except RbeeError:
            model.free()
            raise
        bos, eos = model.special_text("bos"), model.special_text("eos")
        chat = ChatTemplate(model.chat_template(), bos, eos)
        token_s = context.measure() if header.causal else 0.0
        return Loaded(header, model, context, chat, threads, token_s)

    def _read_through(self, header: Header) -> None:
        buffer = bytearray(_CHUNK)
        done = 0
        for part in header.files:
            with part.open("rb", buffering=0) as file:
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
        self._hand_over(self._tell, news)

    def _hand_over(self, listener: Callable[[T], None], news: T) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens any more
            self._loop.call_soon_threadsafe(listener, news)


def _described(header: Header) -> str:
    end = "none" if header.eos_token_id is None else header.eos_token_id
    size = f"{header.size_bytes / _MB:.0f} MB"
    if len(header.files) > 1:
        size += f" in {len(header.files)} files"
    return (
        f"GGUF for llama.cpp: {header.architecture}, {header.layers} layers, "
        f"{header.quantization or 'unknown quantization'}, {size}, "
        f"vocabulary of {header.vocabulary_size}, end-of-sequence token {end}, "
        f"trained for {header.context_length} tokens"
    )


def _cores() -> int:
    return int(psutil.cpu_count(logical=False) or psutil.cpu_count() or 1)


def facts(loaded: Loaded) -> ModelFacts:
    """What the header says of the model, and what llama.cpp made of it."""
    header = loaded.header
    return ModelFacts(
        file=str(header.file),
        size_bytes=header.size_bytes,
        format="GGUF",
        loader="llama.cpp",
        architecture=header.architecture,
        quantization=header.quantization,
        layers=header.layers,
        context_length=header.context_length,
        context=loaded.context.tokens,
        vocabulary_size=header.vocabulary_size,
        eos_token_id=header.eos_token_id,
        model_bytes=loaded.model.size_bytes(),
    )
