"""Judges a stream by computing it again, alone: would the model have chosen each of its tokens?

Text that was made together with others is not bit-equal to text made alone: a batch of another
width adds in another order. So each token is judged in its place: the prompt and the stream's own
tokens before it are given to the model, and the token's logit may be below the best one only by
what such rounding can do. A token that another stream's cache took part in is far below; the
features contain controls that show it.
"""

import ctypes
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.model_files.llama_params import as_defaults

# Rounding in a batch of another width moved logits by up to 0.2 in trials; a token of another
# stream is off by several whole units.
TOLERANCE = 0.5
_CONTEXT = 512
_LONGEST_PIECE = 256


class ReferenceDecoder:
    """llama.cpp in the harness's own process, one sequence at a time."""

    def __init__(self, path: Path) -> None:
        # Imported late: only these scenarios need it, and it takes a while.
        from llama_cpp import Llama, llama_cpp

        self._c: Any = llama_cpp
        self._llama: Any = Llama
        self._path = str(path)
        with as_defaults(llama_cpp):
            self._model: Any = Llama(
                self._path,
                n_ctx=_CONTEXT,
                n_batch=_CONTEXT,
                n_threads=1,  # two that share a core with others wait for each other
                n_threads_batch=1,
                logits_all=True,
                verbose=False,
            )
        self._vocabulary = self._c.llama_model_get_vocab(self._model.model)

    def close(self) -> None:
        self._model.close()

    def tokens(self, text: str, control: bool = True) -> list[int]:
        """With `control`, words that are spelled as a control token are one."""
        return list(self._model.tokenize(text.encode(), add_bos=control, special=control))

    @property
    def model_bytes(self) -> int:
        """The model's size according to llama.cpp."""
        return int(self._c.llama_model_size(self._model.model))

    def next_token(self, prompt: str, pieces: Sequence[str]) -> int:
        """Return the token that the model would continue with, even if it is the end."""
        self._model.reset()
        self._model.eval(self.tokens(prompt) + [self._token(piece) for piece in pieces])
        return int(self._model.scores[self._model.n_tokens - 1].argmax())

    def logit_gaps(
        self,
        prompt: str,
        pieces: Sequence[str],
        repeat_penalty: float = 1.0,
        presence: float = 0.0,
        frequency: float = 0.0,
    ) -> list[float]:
        """Return how far the logit of each token of the answer is below the best in its place.

        Tokens that would end the answer don't count: the answer was asked to go on. With a penalty,
        tokens that stand earlier in the answer (for `repeat_penalty` of at most 64 tokens) count
        less.
        """
        logits, answer = self._logits(prompt, pieces), self._answer(pieces)
        for place, row in enumerate(logits):
            for token in {*answer[:place]}:
                row[token] *= repeat_penalty if row[token] <= 0 else 1 / repeat_penalty
                row[token] -= presence + frequency * answer[:place].count(token)
        of_answer = logits[np.arange(len(answer)), answer]
        return [float(short) for short in logits.max(axis=1) - of_answer]

    def logprobs(self, prompt: str, pieces: Sequence[str]) -> list[tuple[float, list[float]]]:
        """Return the logarithm of the probability of each token of the answer, and those of all
        tokens in its place, the likeliest first."""
        found = []
        logits = self._logits(prompt, pieces, with_ends=True).astype(np.float64)
        for row, token in zip(logits, self._answer(pieces), strict=True):
            all_of_them = row - np.log(np.exp(row).sum())
            found.append((float(all_of_them[token]), sorted(all_of_them.tolist(), reverse=True)))
        return found

    def ranks(self, prompt: str, pieces: Sequence[str]) -> list[int]:
        """Return how many tokens are clearly likelier than each of the answer, in its place."""
        logits, answer = self._logits(prompt, pieces), self._answer(pieces)
        of_answer = logits[np.arange(len(answer)), answer]
        return [int(count) for count in (logits > of_answer[:, None] + TOLERANCE).sum(axis=1)]

    def _answer(self, pieces: Sequence[str]) -> list[int]:
        return [self._token(piece) for piece in pieces]

    def _logits(
        self, prompt: str, pieces: Sequence[str], with_ends: bool = False
    ) -> npt.NDArray[np.float32]:
        """A row for the place of each token of the answer."""
        read, answer = self.tokens(prompt), self._answer(pieces)
        self._model.reset()
        self._model.eval(read + answer)
        first = len(read) - 1
        logits: npt.NDArray[np.float32] = self._model.scores[first : first + len(answer)].copy()
        if not with_ends:
            logits[:, self._ends] = -np.inf
        return logits

    def mean_vector(self, text: str) -> npt.NDArray[np.float64]:
        """Return the mean of the vectors of a text's tokens, with length 1."""
        read = self.tokens(text)
        with as_defaults(self._c):
            model: Any = self._llama(
                self._path,
                n_ctx=len(read) + 8,
                n_batch=len(read) + 8,
                n_ubatch=len(read) + 8,
                n_threads=1,
                n_threads_batch=1,
                embedding=True,
                pooling_type=self._c.LLAMA_POOLING_TYPE_NONE,
                verbose=False,
            )
        try:
            rows = np.array(model.embed(text, normalize=False), dtype=np.float64)
        finally:
            model.close()
        assert len(rows) == len(read), (len(rows), len(read))
        mean: npt.NDArray[np.float64] = rows.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _token(self, piece: str) -> int:
        """The only token with this text: in this vocabulary no two are the same."""
        assert piece in self._by_piece, f"no token is {piece!r}: this stream can't be judged"
        return self._by_piece[piece]

    @cached_property
    def _ends(self) -> list[int]:
        count = self._c.llama_vocab_n_tokens(self._vocabulary)
        return [
            token for token in range(count) if self._c.llama_vocab_is_eog(self._vocabulary, token)
        ]

    @cached_property
    def _by_piece(self) -> dict[str, int]:
        """Every token that is text by itself: no control token, no half of a character."""
        found: dict[str, int] = {}
        buffer = ctypes.create_string_buffer(_LONGEST_PIECE)
        for token in range(self._c.llama_vocab_n_tokens(self._vocabulary)):
            length = self._c.llama_token_to_piece(
                self._vocabulary, token, buffer, _LONGEST_PIECE, 0, False
            )
            piece = buffer.raw[: max(length, 0)].decode(errors="ignore")
            if piece.encode() == buffer.raw[:length] and piece:
                assert piece not in found, f"{piece!r} is two tokens"
                found[piece] = token
        return found
