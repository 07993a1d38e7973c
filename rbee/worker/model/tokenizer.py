"""Text to tokens with llama.cpp's tokenizer, which no text can end and none can keep busy for long.

Its regular expressions recurse once per character of a run, so a long text gets a thread with a
stack that is large enough. It searches the rest of the text for every special token after each
one that it finds, so a text with many of them is handed over in pieces, cut before special tokens.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from itertools import chain
from typing import Any, Final

from rbee.contract.errors import PromptTooLong
from rbee.worker.model.bindings import C

# 320 to 384 bytes were measured per byte of text, with eight families' expressions.
_STACK_PER_BYTE = 512
_STACK = 1 << 20
# Bytes of text for which any thread's stack is enough.
_SHORT = 4096
# Bytes of the first look at a text that may be too long.
_FIRST_LOOK = 65_536
_PIECE = 4096
_SPECIAL: Final = C.LLAMA_TOKEN_ATTR_CONTROL | C.LLAMA_TOKEN_ATTR_USER_DEFINED
_WITH_PIECES = (C.LLAMA_VOCAB_TYPE_SPM, C.LLAMA_VOCAB_TYPE_BPE)

# The size of a new thread's stack is one for the whole process.
_starting = threading.Lock()


class Tokenizer:
    """Of one vocabulary. Thread-safe."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab

    def tokenize(self, text: str, most: int) -> list[int]:
        """The token ids, with the special tokens that the model expects around the text. If it
        surely has more than `most`, as many as are known by then, which are more than that. Raises
        PROMPT_TOO_LONG if there is no memory to take it apart."""
        data = text.encode(errors="replace")
        look = _FIRST_LOOK
        while look < len(data):
            # Where it is cut, a token may become several: twice as many are beyond doubt.
            begun = self._tokenize(data[:look])
            if len(begun) > 2 * most:
                return begun
            look *= 2
        return self._tokenize(data)

    def _tokenize(self, data: bytes) -> list[int]:
        if len(data) <= _SHORT:
            return self._ask(data, around=True)
        pieces = list(self._pieces(data))
        if len(pieces) == 1:
            return _with_stack(len(data), partial(self._ask, data, around=True))
        before, after = self._around
        asked = [
            _with_stack(len(piece), partial(self._ask, piece, around=False)) for piece in pieces
        ]
        return [*before, *chain.from_iterable(asked), *after]

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """Cut before special tokens, at which llama.cpp cuts too."""
        begun = 0
        for found in self._special.finditer(data) if self._special else ():
            if found.start() - begun >= _PIECE:
                yield data[begun : found.start()]
                begun = found.start()
        yield data[begun:]

    def _ask(self, data: bytes, around: bool) -> list[int]:
        room = len(data) + 8
        buffer = (C.llama_token * room)()
        count = C.llama_tokenize(self._vocab, data, len(data), buffer, room, around, True)
        return list(buffer[: max(count, 0)])

    @cached_property
    def _around(self) -> tuple[list[int], list[int]]:
        """What stands before and after each text."""
        both = self._ask(b"", around=True)
        first = C.llama_vocab_get_add_bos(self._vocab)
        return both[:first], both[first:]

    @cached_property
    def _special(self) -> re.Pattern[bytes] | None:
        """Special tokens before which a text can be cut: nothing that stands there can be another
        token's middle, and they take no blanks from what stands before them."""
        if C.llama_vocab_type(self._vocab) not in _WITH_PIECES:
            return None
        texts = []
        for token in range(C.llama_vocab_n_tokens(self._vocab)):
            attributes = C.llama_vocab_get_attr(self._vocab, token)
            if attributes & _SPECIAL and not attributes & C.LLAMA_TOKEN_ATTR_LSTRIP:
                text = C.llama_vocab_get_text(self._vocab, token)
                if text[:1] in (b"<", b"[") and text[-1:] in (b">", b"]"):
                    texts.append(text)
        texts.sort(key=len, reverse=True)
        return re.compile(b"|".join(map(re.escape, texts))) if texts else None


def _with_stack(length: int, work: Callable[[], list[int]]) -> list[int]:
    """Do the `work` for a text of `length` bytes on a stack that is large enough for it."""
    if length <= _SHORT:
        return work()
    outcome: list[int] = []
    with _starting:
        before = threading.stack_size(_STACK + length * _STACK_PER_BYTE)
        try:
            thread = threading.Thread(target=lambda: outcome.extend(work()), daemon=True)
            thread.start()
        except RuntimeError:
            message = f"This machine has no memory to take a text of {length} bytes apart"
            raise PromptTooLong.of("prompt", "a shorter text", message, length) from None
        finally:
            threading.stack_size(before)
    thread.join()
    return outcome
