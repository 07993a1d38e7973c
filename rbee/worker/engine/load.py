"""Loading the model, with its progress in layers.

llama.cpp reports no progress while it maps a file: all its calls come at the end. So the file is
read once first, from beginning to end, which the load would have to wait for anyway. What the
system's page cache holds already is skipped. A layer counts as loaded when its last tensor is in
memory. The parts of a split model are read in their order; llama.cpp finds them by the name of the
first. Without mmap, llama.cpp's own progress is reported.

llama.cpp is started on a thread beside it, while the header is checked. Nothing is computed before
the first prompt, except where the first step loads the kernels of a graphics card.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import msgspec

from rbee.contract.errors import RbeeError, ShuttingDown, UnsupportedModelFormat
from rbee.contract.events import Loading
from rbee.contract.tasks import Sampling
from rbee.contract.workers import ModelFacts
from rbee.gguf.file_changes import FileChanges
from rbee.runtime import kernel
from rbee.worker.engine.batching import Pace, guess_s
from rbee.worker.model.templates.renderers import Renderers
from rbee.worker.settings import WorkerSettings

if TYPE_CHECKING:  # a worker listens before it imports these
    from rbee.gguf.header import Header
    from rbee.worker.model.chat_template import ChatTemplate
    from rbee.worker.model.constraint import Constraint
    from rbee.worker.model.context import Context, Pooling
    from rbee.worker.model.llama import Model
    from rbee.worker.model.sampling import Sampler

T = TypeVar("T")

_MB = 1_000_000
# Texts that are read in one batch: more make it no faster.
_TOGETHER = 16
# In smaller ones llama.cpp aborts with RWKV 7: its graph has more nodes than it reckons with.
_SMALLEST_CONTEXT = 64


class Loaded(msgspec.Struct, frozen=True):
    """The loaded model and what belongs to it. `files` knows them as they were before the load.
    `token_s` is how many seconds prefill takes per token, at the beginning of the context; None if
    it has not been measured. A model that `generates` reads a text in steps of any size; another
    one, only as a whole."""

    header: Header
    model: Model
    context: Context
    chat: ChatTemplate
    threads: int
    token_s: float | None
    generates: bool = True
    files: FileChanges = FileChanges(())

    def pace(self) -> Pace:
        """The sizes of its steps, before the first one."""
        guess = guess_s(self.model.parameters())
        token_s, guessed = (guess, True) if self.token_s is None else (self.token_s, False)
        return Pace(token_s, self.model.doubled_at(), self.context.batch_size, guessed)

    def sampler(self, sampling: Sampling, constraint: Constraint | None) -> Sampler:
        """What chooses the tokens of an answer, within its grammar."""
        from rbee.worker.model.sampling import Sampler

        return Sampler(self.model, sampling, constraint)

    @property
    def pooling(self) -> Pooling:
        """How the vectors of a text's tokens become one. The default is the mean.

        It is "rank" only for a model that has a head for it: without one llama.cpp gives the
        vector of the first or the last token, the first number of which is not a score.
        """
        match self.context.pooling:
            case "none":
                return "mean"
            case "rank" if not any(tensor.name.startswith("cls") for tensor in self.header.tensors):
                return "last" if self.generates else "cls"
        return self.context.pooling

    @property
    def pools_itself(self) -> bool:
        """Whether llama.cpp must pool, and so must get a whole text in one batch: where the model
        can't read in steps, and where a head makes scores of what has been pooled."""
        return not self.generates or self.pooling == "rank"

    def embedding_context(self, texts: list[list[int]]) -> Context:
        """A context that makes vectors, of as many `texts` at once as are given and fit into a
        batch. It holds the longest of them."""
        from rbee.worker.model.context import LARGEST_BATCH, Context

        longest, total = max(map(len, texts)), sum(map(len, texts))
        tokens = max(longest, min(total, LARGEST_BATCH), _SMALLEST_CONTEXT)
        # The state of a recurrent model takes memory for each sequence.
        sequences = min(len(texts), _TOGETHER) if self.model.can_cut() else 1
        if not self.pools_itself:
            return Context(self.model, tokens, sequences, self.threads, "none")
        # llama.cpp plans for sequences of equal length, and aborts if that leaves a remainder.
        tokens = -(-tokens // sequences) * sequences
        return Context(self.model, tokens, sequences, self.threads, self.pooling, batch=tokens)

    def model_facts(self) -> ModelFacts:
        """The model as its header describes it, and as llama.cpp loaded it."""
        header = self.header
        return ModelFacts(
            file=str(header.file),
            size_bytes=header.size_bytes,
            format="GGUF",
            loader="llama.cpp",
            architecture=header.architecture,
            quantization=header.quantization,
            layers=header.layers,
            context_length=header.context_length,
            context=self.context.tokens,
            vocabulary_size=header.vocabulary_size,
            eos_token_id=header.eos_token_id,
            model_bytes=self.model.size_bytes(),
        )

    def free(self) -> None:
        """Release the memory; call nothing else after it."""
        self.context.free()
        self.model.free()


class Load:
    """Loads on the engine's thread. `stop` ends the load at its next step."""

    def __init__(
        self,
        settings: WorkerSettings,
        on_progress: Callable[[Loading], None],
        on_header: Callable[[str], None],
        renderers: Renderers | None = None,
    ) -> None:
        """It calls `on_header` with a description of the model, and with what its header lacks,
        and `on_progress` for each layer, both on the event loop. `renderers` are what renders its
        chat template."""
        self._settings = settings
        self._on_progress = on_progress
        self._on_header = on_header
        self._renderers = renderers or Renderers()
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._layers = -1
        self._ends: list[int] = []

    def stop(self) -> None:
        self._stopped = True

    def __call__(self) -> Loaded:
        """Check the header, read the file, load the model, make its context.

        Raises what `read` raises, MODEL_CORRUPT and BACKEND_UNAVAILABLE.
        """
        beside = ThreadPoolExecutor(1, thread_name_prefix="beside-the-load")
        try:
            return self._load(beside)
        finally:
            beside.shutdown(wait=False)

    def _load(self, beside: Executor) -> Loaded:
        settings = self._settings
        prepared = beside.submit(_prepare)
        from rbee.gguf.header import context_length
        from rbee.gguf.reader import read
        from rbee.worker.engine.page_cache import fill
        from rbee.worker.model.choose_template import chat_template

        header = read(settings.model)
        files = FileChanges(header.files)
        self._ends = header.layer_ends()
        self._call(self._on_header, _description(header))
        self._step(header, 0)
        if settings.mmap:
            for done in fill(header.files):
                if self._stopped:
                    break
                self._step(header, done)
        prepared.result()
        from rbee.worker.model.context import Context
        from rbee.worker.model.llama import Model
        from rbee.worker.model.stepwise import reads_in_steps

        model = Model(
            settings.model,
            settings.backend,
            settings.device,
            settings.mmap,
            lambda fraction: self._native_progress(header, fraction),
        )
        if self._stopped:
            model.free()
            raise ShuttingDown
        if model.has_encoder() and model.has_decoder():
            model.free()
            raise _needs_encoder(header)
        threads = settings.threads or _cores()
        chat, lacks = chat_template(model, self._renderers)
        try:
            tokens = context_length(settings.context, header.context_length)
            context = Context(model, tokens, settings.slots, threads)
        except RbeeError:
            model.free()
            raise
        try:
            generates = reads_in_steps(model, header.architecture, context, threads)
        except RbeeError:
            context.free()
            model.free()
            raise
        if lacks and generates:
            self._call(self._on_header, lacks)
        token_s = context.measure() if generates and settings.backend != "cpu" else None
        return Loaded(header, model, context, chat, threads, token_s, generates, files)

    def _native_progress(self, header: Header, fraction: float) -> bool:
        if not self._settings.mmap:
            self._step(header, int(header.size_bytes * fraction))
        return not self._stopped

    def _step(self, header: Header, done: int) -> None:
        """Report the progress, once for each layer."""
        ends = self._ends
        layers = len(ends) if done >= header.size_bytes else bisect.bisect_right(ends, done)
        if layers == self._layers:
            return
        self._layers = layers
        progress = Loading("loading_to_vram", layers, len(ends), round(done / _MB, 1))
        self._call(self._on_progress, progress)

    def _call(self, listener: Callable[[T], None], value: T) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(listener, value)


def _prepare() -> None:
    """Import llama.cpp and start it. A worker listens before this, unless it stood by."""
    from rbee.worker.model.llama import initialise

    initialise()


def _description(header: Header) -> str:
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


def _needs_encoder(header: Header) -> UnsupportedModelFormat:
    message = (
        f"{header.file} is a {header.architecture} model, whose decoder works on what an encoder "
        "has made of the prompt. rbee runs models with a decoder only, and encoders for embeddings."
    )
    hint = "Take a model of another architecture, for example llama, qwen or gemma."
    return UnsupportedModelFormat(message, value=str(header.file), forms=[], hint=hint)


def _cores() -> int:
    """Those of the machine, or fewer if this process may not use all of them."""
    physical = kernel.cores()
    if not hasattr(os, "sched_getaffinity"):
        return physical
    return min(physical, len(os.sched_getaffinity(0)))
