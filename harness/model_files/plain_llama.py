"""llama.cpp called directly, token after token: the second opinion on what a worker says."""

from __future__ import annotations

import codecs
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness.model_files.llama_params import model_params


class PlainLlama:
    """One model on one thread, in llama.cpp's own words."""

    def __init__(self, path: Path, tokens: int = 256) -> None:
        # Imported late: it takes a while.
        from llama_cpp import llama_cpp

        self._c: Any = llama_cpp
        self._model = llama_cpp.llama_model_load_from_file(
            str(path).encode(), model_params(llama_cpp)
        )
        assert self._model, path
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._tokens = tokens

    def close(self) -> None:
        self._c.llama_model_free(self._model)

    def tokenize(self, text: str) -> list[int]:
        data = text.encode()
        room = (self._c.llama_token * (3 * len(data) + 8))()
        count = self._c.llama_tokenize(self._vocab, data, len(data), room, len(room), True, True)
        return list(room[:count])

    def greedy(self, prompt: str, count: int) -> str:
        """The likeliest token, so many times or up to the end of the answer. Of half a character
        at the end nothing is shown, since more might have come."""
        text, decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
        with self._context(vectors=False) as context:
            step = self.tokenize(prompt)
            for _ in range(count):
                self._decode(context, step)
                row = self._c.llama_get_logits_ith(context, -1)
                size = self._c.llama_vocab_n_tokens(self._vocab)
                token = int(np.ctypeslib.as_array(row, shape=(size,)).argmax())
                if self._c.llama_vocab_is_eog(self._vocab, token):
                    return text + decoder.decode(b"", final=True)
                text += decoder.decode(self._piece(token))
                step = [token]
        return text

    def mean_vector(self, text: str) -> Any:
        """The mean of the vectors of the text's tokens, of length 1."""
        with self._context(vectors=True) as context:
            tokens = self.tokenize(text)
            self._decode(context, tokens)
            width = self._c.llama_model_n_embd_out(self._model)
            rows = [
                np.ctypeslib.as_array(
                    self._c.llama_get_embeddings_ith(context, index), shape=(width,)
                ).copy()
                for index in range(len(tokens))
            ]
        mean = np.mean(rows, axis=0)
        return mean / np.linalg.norm(mean)

    @contextmanager
    def _context(self, vectors: bool) -> Iterator[Any]:
        params = self._c.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self._tokens
        params.n_threads = params.n_threads_batch = 1
        params.embeddings = vectors
        if vectors:
            params.pooling_type = self._c.LLAMA_POOLING_TYPE_NONE
        context = self._c.llama_init_from_model(self._model, params)
        try:
            yield context
        finally:
            self._c.llama_free(context)

    def _decode(self, context: Any, tokens: list[int]) -> None:
        array = (self._c.llama_token * len(tokens))(*tokens)
        batch = self._c.llama_batch_get_one(array, len(tokens))
        assert self._c.llama_decode(context, batch) == 0

    def _piece(self, token: int) -> bytes:
        room = ctypes.create_string_buffer(64)
        length = self._c.llama_token_to_piece(self._vocab, token, room, 64, 0, False)
        return room.raw[:length]
