"""The process that compiles each grammar first: it may take long, or much memory, and be killed.

llguidance's limits bound what a grammar costs while an answer is made, but not what its compilation
costs: some schemas of a hundred lines take minutes, and others end the process that compiles them.
So a grammar is compiled here before the worker does it, within so much time and memory.

It learns what a grammar may name of the vocabulary (`Outline`). Requests are `{"grammar": TEXT}`,
whose answer says what is wrong with it, or is null.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from rbee.worker.model.constraint import reason
from rbee.worker.model.killable_process import TEXT, serve
from rbee.worker.model.large_stack import call_with_stack

if TYPE_CHECKING:  # it takes a while to import, and most workers have no grammar
    from llguidance import LLMatcher, LLTokenizer

_MOST_BYTES = 3 << 30
# A definition that leads to the next one takes 10 to 16 kB of stack.
_STACK = 64 << 20
# About 2 kB each.
_MOST_STATES = 50_000
# How a token begins for llguidance that is no text.
SPECIAL = b"\xff"


def compiled(tokenizer: LLTokenizer, grammar: str, stack: int = 2 * _STACK) -> LLMatcher:
    """The grammar, ready for its first token, or with what is wrong with it. The worker has twice
    the `stack` of the process that has compiled it before."""
    from llguidance import LLMatcher, LLParserLimits

    limits = LLParserLimits(max_lexer_states=_MOST_STATES, verbose_errors=False)
    matcher = call_with_stack(
        stack, lambda: LLMatcher(tokenizer, grammar, log_level=0, limits=limits)
    )
    if not matcher.is_error():
        matcher.compute_bitmask()
    return matcher


class Words:
    """A vocabulary as llguidance asks for one: the bytes of each token, which begin with `SPECIAL`
    if the token is no text, and the tokens that end a text. It has nothing tokenized, because our
    grammars say `no_forcing`."""

    is_tokenizer_wrapper = True
    bos_token_id = None
    special_token_ids: tuple[int, ...] = ()

    def __init__(self, tokens: list[bytes], ends: list[int]) -> None:
        self.tokens, self.ends = tokens, ends
        if not ends:  # llguidance needs one: a token that the model does not have
            self.tokens, self.ends = [*tokens, SPECIAL], [len(tokens)]
        self.eos_token_id = self.ends[0]

    def __call__(self, text: bytes | str) -> list[int]:
        return []

    def sorted(self) -> LLTokenizer:
        """For llguidance; it takes a part of a second."""
        from llguidance import LLTokenizer

        return LLTokenizer(self, eos_token=self.ends)  # type: ignore[arg-type]


class Outline(msgspec.Struct, frozen=True):
    """So many tokens, of which some are special, with their bytes; `ends` end a text."""

    size: int
    special: Mapping[int, list[int]]
    ends: list[int]


def words_of(outline: Outline) -> Words:
    """A vocabulary with that outline, with a token for each byte in place of its text."""
    tokens = [b""] * outline.size
    letters = iter(range(256))
    for token in range(outline.size):
        if (word := outline.special.get(token)) is not None:
            tokens[token] = bytes(word)
        elif (letter := next(letters, None)) is not None:
            tokens[token] = bytes([letter])
    return Words([*tokens, *(bytes([letter]) for letter in letters)], outline.ends)


def outline_of(words: Words) -> Outline:
    """What a grammar may name of a vocabulary: its special tokens, and what ends a text."""
    special = {token: list(word) for token, word in enumerate(words.tokens) if word[:1] == SPECIAL}
    return Outline(len(words.tokens), special, words.ends)


def main() -> None:
    known: list[LLTokenizer] = []

    def learn(outline: dict[str, Any]) -> None:
        known[:] = [words_of(msgspec.convert(outline, Outline, strict=False)).sorted()]

    def answer(request: dict[str, Any]) -> tuple[bytes, bytes]:
        wrong = reason(compiled(known[0], request["grammar"], _STACK))
        return TEXT, json.dumps(wrong).encode()

    serve(_MOST_BYTES, _get_ready, learn, answer)


def _get_ready() -> None:
    importlib.import_module("llguidance")  # it takes its time


if __name__ == "__main__":
    main()
