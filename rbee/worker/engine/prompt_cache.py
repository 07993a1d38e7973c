"""Prompts that have left the KV cache, with their state in main memory: what was read once need not
be read again, and a new prompt is not slowed down by the cells of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from rbee.worker.engine.prefix_reuse import common


class Saved(msgspec.Struct, eq=False):
    """The state of a sequence with these tokens, as `Context.save` made it. The first `repeatable`
    tokens are as those of a `Slot`."""

    tokens: list[int]
    repeatable: int
    state: Any
    size_bytes: int


class PromptCache:
    """The states that fit into `limit` bytes; those that were not used for longest are dropped.

    `can_cut`: whether a state can be cut back to a prefix. `available()` is the free memory in
    bytes, of which one state takes at most half.
    """

    def __init__(self, limit: int, can_cut: bool, available: Callable[[], int]) -> None:
        self._limit = limit
        self._can_cut = can_cut
        self._available = available
        # The least recently used first.
        self._saved: list[Saved] = []

    @property
    def size_bytes(self) -> int:
        return sum(saved.size_bytes for saved in self._saved)

    @property
    def tokens(self) -> int:
        """How many tokens all states have together."""
        return sum(len(saved.tokens) for saved in self._saved)

    def covers(self, tokens: Sequence[int]) -> bool:
        """Whether a state is kept that does for whatever one of these tokens does."""
        return any(self._covers(saved.tokens, tokens) for saved in self._saved)

    def has_room(self, size_bytes: int) -> bool:
        """Whether a state of this size may be added."""
        return 0 < size_bytes <= min(self._limit, self._available() // 2)

    def add(self, new: Saved) -> None:
        """Keep a state, and drop those that it makes superfluous or leaves no room for."""
        kept = [saved for saved in self._saved if not self._covers(new.tokens, saved.tokens)]
        self._saved = [*kept, new]
        while self.size_bytes > self._limit:
            del self._saved[0]

    def find(self, prompt: Sequence[int], most: int) -> list[tuple[Saved, int]]:
        """The states of at most `most` tokens, each with how many of the prompt's first tokens need
        not be read again. The prompt's last token is always read."""
        found = []
        for saved in self._saved:
            length = min(common(prompt, saved.tokens), len(prompt) - 1)
            if len(saved.tokens) <= most and (self._can_cut or length == len(saved.tokens)):
                found.append((saved, length))
        return found

    def use(self, saved: Saved, length: int) -> None:
        """Note that the first `length` tokens of a state are in the KV cache again. A conversation
        goes on there; a state of which most is left over may be wanted again, unless it has been
        given up for another meanwhile."""
        others = [each for each in self._saved if each is not saved]
        was_kept = len(others) < len(self._saved)
        self._saved = others
        if was_kept and 2 * length < len(saved.tokens):
            self._saved.append(saved)

    def clear(self) -> None:
        """Drop all states."""
        self._saved = []

    def _covers(self, tokens: Sequence[int], others: Sequence[int]) -> bool:
        """Whether a state of `tokens` does for whatever one of `others` does."""
        length = len(others)
        return (
            len(tokens) >= length
            and (self._can_cut or len(tokens) == length)
            and common(tokens, others) == length
        )
