"""What an answer may be: a grammar, and the tokens that it allows next.

llguidance reads the grammars and computes the tokens (see docs/decisions/0019). What a stranger's
grammar can cost is bounded: its compilation by `grammar_check`, each token by llguidance's limits.

A grammar is text in llguidance's Lark dialect: `any_object()`, `of_schema(schema)` and
`gbnf.to_lark(text)` return one. Whoever writes one begins it with `HEAD`, and embeds a schema as
`json_rule(schema)`:

    HEAD + 'start: text "<tool_call>" ' + json_rule(schema) + ' "</tool_call>"\\n' + …

`Model.grammars.compile` makes a `Constraint` from it; the engine's thread asks that one which
tokens may come next, and tells it which has come.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from rbee.runtime.concurrency import InThread
from rbee.worker.model.killable import Failed, Interrupted, Kind, Processes

if TYPE_CHECKING:  # they take a while to import, and most answers have no grammar
    from llguidance import LLTokenizer

    from rbee.worker.model.constraint import Constraint
    from rbee.worker.model.grammar_check import Outline, Words

# Without `no_forcing`, text that can only be what it is would be tokenized again for each token.
HEAD = '%llguidance {"no_forcing": true}\n'

# As llama.cpp has it: more could go on for ever.
_WHITESPACE = r"[ ]?|\n{1,2}[ \t]{0,20}"
_OPTIONS = {"whitespace_pattern": _WHITESPACE, "coerce_one_of": False, "lenient": False}
_LARGEST = 1_000_000
_PIECE = 4096
_REMEMBERED = 16
_AT_ONCE = 2
_DEADLINE_S = 60.0
# Of the processor's time: a busy machine is no reason to refuse a grammar.
_COMPUTE_S = 2.0
_TOO_MUCH = "it takes too much time or memory to compile"
_KIND = Kind(
    module="rbee.worker.model.grammar_check",
    name="grammar-check",
    what="the compiler of grammars",
    does="compiles it",
)


def any_object() -> str:
    """The grammar of any JSON object."""
    return of_schema({"type": "object"})


def of_schema(schema: Mapping[str, Any]) -> str:
    """The grammar of the JSON that a schema describes. Raises ValueError if it is too large."""
    return f"{HEAD}start: {json_rule(schema)}\n"


def json_rule(schema: Mapping[str, Any]) -> str:
    """The same, to be embedded in a rule."""
    from rbee.worker.model.finite_schema import finite

    try:
        text = msgspec.json.encode({**finite(schema), "x-guidance": _OPTIONS}).decode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if len(text) > _LARGEST:
        raise ValueError(f"it is longer than {_LARGEST} bytes")
    return f"%json {text}"


class Grammars:
    """Compiles grammars for one vocabulary, on the event loop."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab
        self._made: tuple[LLTokenizer, Outline] | None = None
        self._processes: Processes | None = None
        self._known: dict[str, str | None] = {}

    async def compile(
        self, grammar: str, field: str, in_thread: InThread = asyncio.to_thread
    ) -> Constraint:
        """What holds one answer to a grammar. The first call takes a part of a second, to sort the
        vocabulary. Raises as `check` does."""
        from rbee.worker.model.constraint import Constraint, refused
        from rbee.worker.model.grammar_check import compiled

        await self.check(grammar, field, in_thread)
        tokenizer, _ = await self._sorted(in_thread)
        try:
            constraint = Constraint(await in_thread(lambda: compiled(tokenizer, grammar)), field)
        except MemoryError as error:
            raise refused(field, str(error)) from None
        constraint.check()
        return constraint

    async def check(
        self, grammar: str, field: str, in_thread: InThread = asyncio.to_thread
    ) -> None:
        """Raises INVALID_REQUEST for `field` with the reason if the grammar can't be had. Canceled,
        it stops what compiles the grammar."""
        from rbee.worker.model.constraint import refused

        if grammar not in self._known:
            _, outline = await self._sorted(in_thread)
            try:
                self._known[grammar] = await self._ask(outline, grammar)
            except Interrupted:  # which says nothing of the next time
                raise refused(field, _TOO_MUCH) from None
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        if wrong := self._known[grammar]:
            raise refused(field, wrong)

    def close(self) -> None:
        """End the process beside it. Nothing may be compiled any more."""
        if self._processes is not None:
            self._processes.end()

    async def _sorted(self, in_thread: InThread) -> tuple[LLTokenizer, Outline]:
        """The vocabulary for llguidance, and its outline: made once."""
        if self._made is None:
            self._made = await in_thread(self._make)
        return self._made

    def _make(self) -> tuple[LLTokenizer, Outline]:
        import numpy  # noqa: F401 - here, and not between two tokens

        from rbee.worker.model.grammar_check import outline_of

        words = self._words()
        return words.sorted(), outline_of(words)

    async def _ask(self, outline: Outline, grammar: str) -> str | None:
        """What is wrong with the grammar. Raises Interrupted."""
        if self._processes is None:
            self._processes = Processes(_KIND, _AT_ONCE, _DEADLINE_S, _COMPUTE_S)
        try:
            text = await self._processes.ask(outline, {"grammar": grammar})
        except Interrupted:
            raise
        except Failed:
            return _TOO_MUCH
        return msgspec.json.decode(text, type=str | None)

    def _words(self) -> Words:
        # Late: a worker listens before it imports llama.cpp, and requests come through here.
        from rbee.worker.model.bindings import C
        from rbee.worker.model.grammar_check import SPECIAL, Words

        vocab, buffer = self._vocab, ctypes.create_string_buffer(_PIECE)
        words, ends = [], []
        for token in range(C.llama_vocab_n_tokens(vocab)):
            length = C.llama_token_to_piece(vocab, token, buffer, _PIECE, 0, False)
            word = buffer.raw[: max(length, 0)]
            words.append(word or SPECIAL + C.llama_vocab_get_text(vocab, token))
            if C.llama_vocab_is_eog(vocab, token):
                ends.append(token)
        return Words(words, ends)
