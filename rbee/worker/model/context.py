"""llama.cpp's context: the KV cache of all sequences, and one batch that is filled again and again.

Only the engine's thread calls it.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rbee.contract.errors import UnsupportedModelFormat
from rbee.contract.model_ref import FORMS
from rbee.worker.model.bindings import C
from rbee.worker.model.finite_logits import FiniteLogits
from rbee.worker.model.llama import Model, forget_reasons, interrupt, last_reason

if TYPE_CHECKING:  # it takes a while to import, and most workers make no vectors
    import numpy

Pooling: TypeAlias = Literal["none", "mean", "cls", "last", "rank"]

LARGEST_BATCH = 512
_INTERRUPTED = 2
_MEASURED = 8
_POOLINGS: Mapping[Pooling, int] = {
    "none": C.LLAMA_POOLING_TYPE_NONE,
    "mean": C.LLAMA_POOLING_TYPE_MEAN,
    "cls": C.LLAMA_POOLING_TYPE_CLS,
    "last": C.LLAMA_POOLING_TYPE_LAST,
    "rank": C.LLAMA_POOLING_TYPE_RANK,
}


class Context:
    """The KV cache, shared by all sequences, and a batch. `tokens` is its total length, `pooling`
    how its model makes one vector of a text's tokens ("none" where its file does not say)."""

    def __init__(
        self,
        model: Model,
        tokens: int,
        sequences: int,
        threads: int,
        vectors: Pooling | None = None,
        batch: int = LARGEST_BATCH,
    ) -> None:
        """With `vectors` it makes no logits but vectors: with "none" one for each token, otherwise
        one for each sequence of a batch. Raises
        UNSUPPORTED_MODEL_FORMAT if llama.cpp can't make it."""
        params = C.llama_context_default_params()
        params.n_ctx = tokens
        # llama.cpp splits a batch longer than n_ubatch, and aborts on one longer than n_ctx.
        params.n_batch = params.n_ubatch = min(batch, tokens)
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True
        if vectors is not None:
            params.embeddings, params.pooling_type = True, _POOLINGS[vectors]
        forget_reasons()
        handle = C.llama_init_from_model(model.handle, params)
        if not handle:
            raise UnsupportedModelFormat(
                f"llama.cpp can't make a context of {tokens} tokens: {last_reason()}",
                value=str(tokens),
                forms=list(FORMS),
                hint="Lower [worker] context, or use another model or backend.",
            )
        self.handle: Any = handle
        self.tokens: int = tokens
        self.sequences: int = sequences
        # Only the CPU asks whether to go on. What a batch had computed by then is forgotten again.
        self.interruptible = model.on_cpu and model.can_cut()
        self.batch_size = int(C.llama_n_batch(handle))
        named: dict[int, Pooling] = {number: name for name, number in _POOLINGS.items()}
        # A number that llama.cpp does not know would make it abort, if it had to pool.
        self.pooling = named.get(C.llama_pooling_type(handle), "none")
        self._width = model.scores() if vectors == "rank" else model.vector_width()
        self._compute = C.llama_encode if model.has_encoder() else C.llama_decode
        self._vocabulary_size = model.vocabulary_size
        self._memory = C.llama_get_memory(handle)
        self._batch = C.llama_batch_init(self.batch_size, 0, 1)
        self._finite = FiniteLogits(model.vocabulary_size)

    @property
    def causal(self) -> bool:
        """Whether a token sees only those before it, in this batch or in the cache. A model without
        a cache sees the whole batch, whatever its file says."""
        return bool(self._memory and C.llama_get_causal_attn(self.handle))

    def free(self) -> None:
        C.llama_batch_free(self._batch)
        C.llama_free(self.handle)

    def clear_batch(self) -> None:
        self._batch.n_tokens = 0

    def add(self, sequence: int, position: int, tokens: Sequence[int], outputs: int = 0) -> range:
        """Put `tokens` of a sequence into the batch, which has room for them.

        The last `outputs` of them get logits, or a vector each: returns their indexes in the batch.
        """
        batch = self._batch
        start: int = batch.n_tokens
        for offset, token in enumerate(tokens):
            index = start + offset
            batch.token[index] = token
            batch.pos[index] = position + offset
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = sequence
            batch.logits[index] = offset >= len(tokens) - outputs
        end = batch.n_tokens = start + len(tokens)
        return range(end - outputs, end)

    def decode(self) -> int:
        """Compute the whole batch. Returns 0, or llama.cpp's error code."""
        code = int(self._compute(self.handle, self._batch))
        C.llama_synchronize(self.handle)
        return code

    def decode_unless(self, stop: Callable[[], bool]) -> int | None:
        """The same in an interruptible context, which asks `stop` some hundred times in a batch,
        and gives it up once that is true: returns None, and the cache is as it was, since llama.cpp
        computes a batch at once (it would keep those parts of one that were done)."""

        def ask(_: Any) -> bool:
            stops = stop()
            if stops:
                interrupt(True)
            return stops

        asked = C.ggml_abort_callback(ask)
        C.llama_set_abort_callback(self.handle, asked, None)
        try:
            code = self.decode()
        finally:
            C.llama_set_abort_callback(self.handle, C.ggml_abort_callback(), None)
            interrupt(False)
        return None if code == _INTERRUPTED else code

    def has_numbers(self, index: int) -> bool:
        """Whether a token can be chosen from the logits of the batch's token at `index`."""
        return self._finite.check(C.llama_get_logits_ith(self.handle, index))

    def clear_cache(self) -> None:
        """Empty all sequences, and overwrite what they were: where a cell holds something that is
        not a number, attention multiplies it by 0, which is not a number either."""
        C.llama_memory_clear(self._memory, True)

    def forget(self, sequence: int, keep: int = 0) -> bool:
        """Remove a sequence from the cache, except its first `keep` tokens.

        Returns False, and removes nothing, if the model's state can't be cut (a recurrent model).
        """
        return bool(C.llama_memory_seq_rm(self._memory, sequence, keep, -1))

    def share(self, source: int, sequence: int, count: int) -> None:
        """Let the empty `sequence` begin with the first `count` tokens of `source`. The cells are
        shared, not copied."""
        C.llama_memory_seq_cp(self._memory, source, sequence, 0, count)

    def state_bytes(self, sequence: int) -> int:
        """The size of what `save` returns for a sequence."""
        return int(C.llama_state_seq_get_size(self.handle, sequence))

    def save(self, sequence: int) -> ctypes.Array[ctypes.c_uint8]:
        """A copy of a sequence's state, in main memory."""
        size = self.state_bytes(sequence)
        state = (ctypes.c_uint8 * size)()
        C.llama_state_seq_get_data(self.handle, state, size, sequence)
        return state

    def restore(self, sequence: int, state: ctypes.Array[ctypes.c_uint8]) -> bool:
        """Give an empty sequence the state that `save` returned. Returns False, and leaves it
        empty, if there is no room for it."""
        if C.llama_state_seq_set_data(self.handle, state, len(state), sequence):
            return True
        self.forget(sequence)
        return False

    def vectors(self) -> numpy.ndarray:
        """The vectors of the batch, one row per token: a view, until the next one."""
        import numpy

        found = C.llama_get_embeddings(self.handle)
        return numpy.ctypeslib.as_array(found, shape=(self._batch.n_tokens, self._width))

    def pooled(self, sequence: int) -> numpy.ndarray:
        """The vector of a sequence, or its scores, as llama.cpp has pooled it: a view, until the
        next batch."""
        import numpy

        found = C.llama_get_embeddings_seq(self.handle, sequence)
        return numpy.ctypeslib.as_array(found, shape=(self._width,))

    def logits(self, index: int) -> numpy.ndarray:
        """Those after the batch's token at `index`, one for each token of the vocabulary: a view,
        until the next batch. What is written there is what llama.cpp's samplers see."""
        import numpy

        found = C.llama_get_logits_ith(self.handle, index)
        return numpy.ctypeslib.as_array(found, shape=(self._vocabulary_size,))

    def measure(self) -> float:
        """Seconds per token of prefill, at the beginning of an empty cache.

        It runs twice: the first run warms up what later requests need too, as the kernels of a
        graphics card.
        """
        fastest = float("inf")
        for _ in range(2):
            self.clear_batch()
            self.add(0, 0, [0] * _MEASURED, outputs=1)
            began = time.perf_counter()
            self.decode()
            fastest = min(fastest, time.perf_counter() - began)
            self.forget(0)
        return fastest / _MEASURED
