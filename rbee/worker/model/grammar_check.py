"""A process that compiles each grammar first, and may die of it.

    python -m rbee.worker.model.grammar_check

llguidance's limits bound what a grammar costs while an answer is made, but not what its compilation
costs: some schemas of a hundred lines take minutes, and others end the process that compiles them.
So a grammar is compiled here before the worker does it, within so much time and memory. The first
line of standard input is what a grammar may name of the vocabulary, as JSON; each other line is a
grammar, and the line that is answered says what is wrong with it, or null.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from rbee.worker.model.constraint import reason
from rbee.worker.model.large_stack import call_with_stack

if TYPE_CHECKING:  # it takes a while to import, and most workers have no grammar
    from llguidance import LLMatcher, LLTokenizer

# Of the processor's time: a busy machine is no reason to refuse a grammar.
_MOST_S = 2.0
_MOST_BYTES = 3 << 30
# A definition that leads to the next one takes 10 to 16 kB of stack.
_STACK = 64 << 20
# About 2 kB each.
_MOST_STATES = 50_000
_REMEMBERED = 16
# How a token begins for llguidance that is no text.
SPECIAL = b"\xff"
_TOO_LARGE = "it takes too much time or memory to compile"


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

    def outline(self) -> bytes:
        """What a grammar may name of it, in a line of JSON: its special tokens."""
        special = {
            token: list(word) for token, word in enumerate(self.tokens) if word[:1] == SPECIAL
        }
        return json.dumps([len(self.tokens), special, self.ends]).encode() + b"\n"

    @staticmethod
    def from_outline(line: bytes) -> Words:
        """With a token for each byte in place of its text."""
        size, special, ends = json.loads(line)
        tokens = [b""] * size
        letters = iter(range(256))
        for token in range(size):
            if (word := special.get(str(token))) is not None:
                tokens[token] = bytes(word)
            elif (letter := next(letters, None)) is not None:
                tokens[token] = bytes([letter])
        return Words([*tokens, *(bytes([letter]) for letter in letters)], ends)


class Check:
    """Asks the process, which is started with the first question. Thread-safe."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self._asking = threading.Lock()
        self._known: dict[str, str | None] = {}

    def reason(self, grammar: str) -> str | None:
        """Why the grammar can't be had, if it can't."""
        with self._asking:
            if grammar not in self._known:
                self._known[grammar] = self._ask(grammar)
                if len(self._known) > _REMEMBERED:
                    del self._known[next(iter(self._known))]
            return self._known[grammar]

    def close(self) -> None:
        """End the process. Nothing may be asked any more."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _ask(self, grammar: str) -> str | None:
        begin = b""
        if self._process is not None and self._process.poll() is not None:
            # Something else has ended it: that says nothing of this grammar.
            self._process.communicate()
            self._process = None
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # llguidance prints its stack there
            )
            begin = self._words.outline()
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(begin)
            self._process.stdin.write(json.dumps(grammar).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if answer.endswith(b"\n"):
            found: str | None = json.loads(answer)
            return found
        self._process.kill()
        self._process.communicate()
        self._process = None
        return _TOO_LARGE


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the worker, which ends this process
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tokenizer = Words.from_outline(sys.stdin.buffer.readline()).sorted()
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, _MOST_S)
        wrong = reason(compiled(tokenizer, json.loads(line), _STACK))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(wrong), flush=True)


if __name__ == "__main__":
    main()
