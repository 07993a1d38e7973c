"""The sequences of the KV cache: who is in which, and what stays there for the next request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rbee.worker.engine.prefix_reuse import Slot, common, place, to_evict

if TYPE_CHECKING:
    from rbee.worker.model.context import Context


class Slots:
    """Only the engine's thread touches them. A slot that was left keeps its tokens, until their
    room is wanted or a prompt begins otherwise."""

    def __init__(
        self, context: Context, count: int, parts: bool, border: Callable[[int], int]
    ) -> None:
        """`parts`: whether the model's state can be cut back to a part of its tokens. `border` is
        the last beginning of a chunk up to a position, for a prompt that is read alone."""
        self._context = context
        self._parts = parts
        self._border = border
        self._slots = [Slot() for _ in range(count)]
        self._rooms: dict[int, int] = {}
        self._uses = 0

    def take(
        self, prompt: Sequence[int], room: int, reuse: bool, repeatable: bool
    ) -> tuple[int, int]:
        """A free slot for a request that may fill `room` tokens; how many of its prompt's first
        tokens are in it already. One slot at least is free.

        llama.cpp's sums depend on where in the cache the tokens stand, and on the chunks in which
        they were read. So a `repeatable` request that begins while no other runs has the cache for
        itself, and takes over only what it would have computed the same.
        """
        others = [slot for slot in self._slots if slot.busy]
        if repeatable and not others:
            index, cached = self._take_alone(prompt, reuse)
        else:
            index, cached = self._take(prompt, reuse)
        slot = self._slots[index]
        clean = not others and not any(s.tokens for s in self._slots if s is not slot)
        same = cached <= slot.repeatable and cached == self._border(cached)
        slot.repeatable = len(prompt) if clean and (same or not cached) else 0
        for other in others:
            other.repeatable = 0
        slot.tokens = list(prompt[:cached])
        slot.busy = True
        self._uses += 1
        slot.used = self._uses
        self._rooms[index] = room
        for old in to_evict(self._slots, sum(self._rooms.values()), self._context.tokens):
            self.drop(old)
        return index, cached

    def _take(self, prompt: Sequence[int], reuse: bool) -> tuple[int, int]:
        where = place(prompt, self._slots, self._parts, reuse)
        if where.source == where.slot:
            return where.slot, self._cut(where.slot, where.cached)
        self.drop(where.slot)
        self._context.share(where.source, where.slot, where.cached)
        return where.slot, where.cached

    def _take_alone(self, prompt: Sequence[int], reuse: bool) -> tuple[int, int]:
        """The slot whose repeatable beginning helps most; all others are emptied."""
        known = [
            self._border(min(common(prompt, slot.tokens), slot.repeatable, len(prompt) - 1))
            for slot in self._slots
        ]
        if not reuse or not self._parts:
            known = [0] * len(known)
        best = max(range(len(known)), key=known.__getitem__)
        for index, slot in enumerate(self._slots):
            if index != best and slot.tokens:
                self.drop(index)
        return best, self._cut(best, known[best])

    def _cut(self, index: int, length: int) -> int:
        """Keep the first `length` tokens of a slot; how many are left, which is none where the
        model can't give back a part."""
        if length == 0:
            self.drop(index)
        elif length < len(self._slots[index].tokens) and not self._context.forget(index, length):
            self.drop(index)
            return 0
        return length

    def fill(self, index: int, tokens: Sequence[int]) -> None:
        """The slot holds these too, from the step that is being put together."""
        self._slots[index].tokens.extend(tokens)

    def leave(self, index: int) -> None:
        """The request has ended; what it computed stays."""
        self._slots[index].busy = False
        del self._rooms[index]

    def drop(self, index: int) -> None:
        """Forget what a slot holds."""
        if self._slots[index].tokens:
            self._context.forget(index)
        self._slots[index].tokens = []
        self._slots[index].repeatable = 0

    @property
    def held(self) -> int:
        """Tokens that all slots hold together."""
        return sum(len(slot.tokens) for slot in self._slots)
