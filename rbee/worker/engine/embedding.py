"""The vectors of a request's texts, computed a chunk at a time between the steps of the engine.

They have a context of their own, because the generating context makes logits, not embeddings. The
vectors of a text's tokens are pooled here: llama.cpp could pool them only if the whole text were in
one batch.
"""

from __future__ import annotations

import time

import numpy

from rbee.contract.errors import Internal
from rbee.worker.engine.batching import Pace
from rbee.worker.engine.load import Loaded


class Embedding:
    """The texts of one request. Only the engine's thread touches it."""

    def __init__(self, loaded: Loaded, texts: list[list[int]]) -> None:
        """Each text has at least one token, and no more than the model can take."""
        self._texts = texts
        self._pooling = loaded.header.pooling
        self._causal = loaded.header.causal
        self._context = loaded.embedding_context(texts)
        self._position = 0
        self._rows: list[numpy.ndarray] = []
        self._done: list[list[float]] = []

    def step(self, pace: Pace, decoding: int) -> list[list[float]] | None:
        """Compute a chunk. Returns all vectors, each of length 1, after the last one."""
        text = self._texts[len(self._done)]
        count = len(text)
        if self._causal:
            count = min(pace.chunk(self._position, decoding), self._context.batch_size)
        chunk = text[self._position : self._position + count]
        self._context.clear_batch()
        self._context.add(0, self._position, chunk, outputs=len(chunk))
        began, computed = time.perf_counter(), time.thread_time()
        if (code := self._context.decode()) != 0:
            raise Internal(f"llama.cpp could not compute (code {code}).", correlation_id="")
        took_s, cpu_s = time.perf_counter() - began, time.thread_time() - computed
        pace.note(0, len(chunk), took_s, cpu_s)
        self._keep(self._context.vectors())
        self._position += len(chunk)
        if self._position < len(text):
            return None
        self._finish()
        return self._done if len(self._done) == len(self._texts) else None

    def free(self) -> None:
        self._context.free()

    def _keep(self, rows: numpy.ndarray) -> None:
        """Keep what the pooling needs of these rows: their sum for the mean, or one of them."""
        match self._pooling:
            case "cls":
                self._rows = self._rows or [rows[0].copy()]
            case "last":
                self._rows = [rows[-1].copy()]
            case _:
                self._rows.append(rows.sum(axis=0, dtype=numpy.float64))

    def _finish(self) -> None:
        vector = numpy.asarray(self._rows, dtype=numpy.float64).sum(axis=0)
        size = float(numpy.linalg.norm(vector)) or 1.0
        self._done.append([float(part) / size for part in vector])
        self._context.forget(0)
        self._position, self._rows = 0, []
