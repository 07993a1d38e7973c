"""What an answer may be: a grammar, and the tokens that it allows next.

llguidance reads the grammars and computes the tokens (see docs/decisions/0019). What a stranger's
grammar can cost is bounded: its compilation by `grammar_check`, each token by llguidance's limits.

A grammar is text in llguidance's Lark dialect: `any_object()`, `of_schema(schema)` and
`gbnf.to_lark(text)` return one. Whoever writes one begins it with `HEAD`, and embeds a schema as
`json_rule(schema)`:

    HEAD + 'start: text "<tool_call>" ' + json_rule(schema) + ' "</tool_call>"\\n' + …

`Model.grammars.compile` makes a `Constraint` from it, on any thread but the event loop's; the
engine's thread asks that one which tokens may come next, and tells it which has come.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from rbee.worker.model.constraint import Constraint, refused
from rbee.worker.model.finite_schema import finite
from rbee.worker.model.grammar_check import SPECIAL, Check, Words, compiled

if TYPE_CHECKING:  # it takes a while to import, and most answers have no grammar
    from llguidance import LLTokenizer

# Without `no_forcing`, text that can only be what it is would be tokenized again for each token.
HEAD = '%llguidance {"no_forcing": true}\n'

# As llama.cpp has it: more could go on for ever.
_WHITESPACE = r"[ ]?|\n{1,2}[ \t]{0,20}"
_OPTIONS = {"whitespace_pattern": _WHITESPACE, "coerce_one_of": False, "lenient": False}
_LARGEST = 1_000_000
_PIECE = 4096


def any_object() -> str:
    """The grammar of any JSON object."""
    return of_schema({"type": "object"})


def of_schema(schema: Mapping[str, Any]) -> str:
    """The grammar of the JSON that a schema describes. Raises ValueError if it is too large."""
    return f"{HEAD}start: {json_rule(schema)}\n"


def json_rule(schema: Mapping[str, Any]) -> str:
    """The same, to be embedded in a rule."""
    try:
        text = msgspec.json.encode({**finite(schema), "x-guidance": _OPTIONS}).decode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if len(text) > _LARGEST:
        raise ValueError(f"it is longer than {_LARGEST} bytes")
    return f"%json {text}"


class Grammars:
    """Compiles grammars for one vocabulary. Thread-safe."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab
        self._making = threading.Lock()
        self._made: tuple[LLTokenizer, Check] | None = None

    def compile(self, grammar: str, field: str) -> Constraint:
        """What holds one answer to a grammar. The first call takes a part of a second, to sort the
        vocabulary. Raises INVALID_REQUEST for `field` with the reason if there is none."""
        import numpy  # noqa: F401 - here, and not between two tokens

        with self._making:
            if self._made is None:
                words = self._words()
                self._made = words.sorted(), Check(words)
            tokenizer, check = self._made
        if wrong := check.reason(grammar):
            raise refused(field, wrong)
        constraint = Constraint(compiled(tokenizer, grammar), field)
        constraint.check()
        return constraint

    def close(self) -> None:
        """End the process beside it. Nothing may be compiled any more."""
        if self._made is not None:
            self._made[1].close()

    def _words(self) -> Words:
        # Late: a worker listens before it imports llama.cpp, and requests come through here.
        from rbee.worker.model.bindings import C

        vocab, buffer = self._vocab, ctypes.create_string_buffer(_PIECE)
        words, ends = [], []
        for token in range(C.llama_vocab_n_tokens(vocab)):
            length = C.llama_token_to_piece(vocab, token, buffer, _PIECE, 0, False)
            word = buffer.raw[: max(length, 0)]
            words.append(word or SPECIAL + C.llama_vocab_get_text(vocab, token))
            if C.llama_vocab_is_eog(vocab, token):
                ends.append(token)
        return Words(words, ends)
