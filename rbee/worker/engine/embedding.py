"""The vectors of a request's texts, computed a step at a time between the steps of the answers.

They have a context of their own, because the generating context makes logits, not vectors. A model
that reads in steps gets a long text in chunks, and the vectors of its tokens are pooled here:
llama.cpp could pool them only if the whole text were in one batch. Any other model gets whole
texts, and llama.cpp pools. Short texts are read together.
"""

from __future__ import annotations

import time

import numpy

from rbee.worker.engine.batching import Pace
from rbee.worker.engine.compute_errors import not_numbers, refused
from rbee.worker.engine.load import Loaded


class Embedding:
    """The texts of one request. Only the engine's thread touches it."""

    def __init__(self, loaded: Loaded, texts: list[list[int]]) -> None:
        """Each text has at least one token, and no more than the model can take."""
        self._file = loaded.header.file
        self._texts = texts
        self._pooling = loaded.pooling
        self._in_chunks = not loaded.pools_itself
        self._context = loaded.embedding_context(texts)
        self._position = 0
        self._rows: list[numpy.ndarray] = []
        self._done: list[list[float]] = []

    def step(self, pace: Pace, decoding: int) -> list[list[float]] | None:
        """Compute a chunk of a text, or some short texts. Returns all vectors, each of length 1, or
        the scores that a model that ranks makes of each, after the last one.

        Raises COMPUTE_FAILED if they are not numbers, or llama.cpp can't make them.
        """
        budget = min(pace.chunk(self._position, decoding), self._context.batch_size)
        chunks = self._chunks(budget)
        self._context.clear_batch()
        indexes = [
            self._context.add(sequence, self._position, chunk, outputs=len(chunk))
            for sequence, chunk in enumerate(chunks)
        ]
        began, computed = time.perf_counter(), time.thread_time()
        if (code := self._context.decode()) != 0:
            raise refused(self._file, code)
        took_s, cpu_s = time.perf_counter() - began, time.thread_time() - computed
        pace.note(0, sum(map(len, chunks)), took_s, cpu_s)
        for sequence, index in enumerate(indexes):
            self._take(sequence, index)
        return self._done if len(self._done) == len(self._texts) else None

    def free(self) -> None:
        self._context.free()

    def _chunks(self, budget: int) -> list[list[int]]:
        """What to read next: the next texts that are no longer than `budget` together, or as much
        of the next one as that, or all of it if it must be read at once."""
        first, *others = self._texts[len(self._done) :][: self._context.sequences]
        if self._position or len(first) > budget:
            end = self._position + budget if self._in_chunks else len(first)
            return [first[self._position : end]]
        chunks, room = [first], budget - len(first)
        for text in others:
            if len(text) > room:
                break
            chunks.append(text)
            room -= len(text)
        return chunks

    def _take(self, sequence: int, index: range) -> None:
        """Take what the batch has made of a chunk. It is at `index` there."""
        if self._in_chunks:
            self._keep(self._context.vectors()[index.start : index.stop])
        else:
            self._rows = [self._context.pooled(sequence)]
        self._position += len(index)
        if self._position == len(self._texts[len(self._done)]):
            self._finish(sequence)

    def _keep(self, rows: numpy.ndarray) -> None:
        """Keep what the pooling needs of these rows: their sum for the mean, or one of them."""
        match self._pooling:
            case "cls":
                self._rows = self._rows or [rows[0].copy()]
            case "last":
                self._rows = [rows[-1].copy()]
            case _:
                self._rows.append(rows.sum(axis=0, dtype=numpy.float64))

    def _finish(self, sequence: int) -> None:
        vector = numpy.asarray(self._rows, dtype=numpy.float64).sum(axis=0)
        if not numpy.isfinite(vector).all():
            raise not_numbers(self._file)
        size = 1.0 if self._pooling == "rank" else float(numpy.linalg.norm(vector)) or 1.0
        self._done.append([float(part) / size for part in vector])
        self._context.forget(sequence)
        self._position, self._rows = 0, []
