"""Vectors and scores as llama.cpp makes them by itself: one text, alone, in one batch.

It pools, in the way that the model says, and by the mean if the model says nothing.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.model_files.llama_params import model_params

Vector = npt.NDArray[np.float64]


class ReferenceVectors:
    """llama.cpp's own functions, in this process."""

    def __init__(self, path: Path) -> None:
        # Imported late: only some scenarios need it, and it takes a while.
        from llama_cpp import llama_cpp

        self._c: Any = llama_cpp
        self._c.llama_backend_init()
        self._model = self._c.llama_model_load_from_file(str(path).encode(), model_params(self._c))
        assert self._model, f"llama.cpp does not load {path}"

    def close(self) -> None:
        self._c.llama_model_free(self._model)

    def tokens(self, text: str, around: bool = True, control: bool = True) -> list[int]:
        """With `around`, also the tokens that the model wants before and after a text. With
        `control`, words that are spelled as a control token are one."""
        vocabulary, data = self._c.llama_model_get_vocab(self._model), text.encode()
        room = len(data) + 8
        found = (self._c.llama_token * room)()
        count = self._c.llama_tokenize(vocabulary, data, len(data), found, room, around, control)
        assert count >= 0, count
        return list(found[:count])

    def vector(self, tokens: Sequence[int]) -> Vector:
        """The vector of a text of these tokens, with length 1."""
        found = self._pooled(tokens, self._c.llama_model_n_embd_out(self._model))
        return found / np.linalg.norm(found)

    def scores(self, tokens: Sequence[int]) -> Vector:
        """What the head of a model that ranks makes of a text of these tokens."""
        return self._pooled(tokens, self._c.llama_model_n_cls_out(self._model))

    def _pooled(self, tokens: Sequence[int], width: int) -> Vector:
        context = self._context(len(tokens), self._c.LLAMA_POOLING_TYPE_UNSPECIFIED)
        if self._c.llama_pooling_type(context) == self._c.LLAMA_POOLING_TYPE_NONE:
            self._c.llama_free(context)
            context = self._context(len(tokens), self._c.LLAMA_POOLING_TYPE_MEAN)
        batch = self._c.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index], batch.pos[index] = token, index
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, 0
            batch.logits[index] = 1
        encodes = self._c.llama_model_has_encoder(self._model)
        compute = self._c.llama_encode if encodes else self._c.llama_decode
        assert compute(context, batch) == 0
        found = self._c.llama_get_embeddings_seq(context, 0)
        copied = np.ctypeslib.as_array(found, shape=(width,)).astype(np.float64)
        self._c.llama_batch_free(batch)
        self._c.llama_free(context)
        return copied

    def _context(self, tokens: int, pooling: int) -> ctypes.c_void_p:
        params = self._c.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = tokens
        params.n_threads = params.n_threads_batch = 1
        params.embeddings, params.pooling_type = True, pooling
        context: ctypes.c_void_p = self._c.llama_init_from_model(self._model, params)
        assert context, "llama.cpp makes no context"
        return context
