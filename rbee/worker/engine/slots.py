"""The slots of the KV cache: which request is in which, and what stays there for the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rbee.worker.engine.prefix_reuse import Slot, common, place, to_evict


class Cache(Protocol):
    """What the slots need of llama.cpp's context, which is documented at `Context`."""

    tokens: int

    def forget(self, sequence: int, keep: int = 0) -> bool: ...

    def share(self, source: int, sequence: int, count: int) -> None: ...


class Slots:
    """Only the engine's thread touches them. A slot keeps the tokens of its last request until
    their room is needed or a prompt begins differently."""

    def __init__(
        self, cache: Cache, count: int, can_cut: bool, border: Callable[[int], int]
    ) -> None:
        """`can_cut`: whether the model's state can be cut back to a prefix. `border(position)` is
        where the chunk begins in which a position is read, for a prompt that is read alone."""
        self._cache = cache
        self._can_cut = can_cut
        self._border = border
        self._slots = [Slot() for _ in range(count)]
        self._rooms: dict[int, int] = {}
        self._uses = 0

    def take(
        self, prompt: Sequence[int], room: int, reuse: bool, repeatable: bool
    ) -> tuple[int, int]:
        """A free slot for a request that may fill `room` tokens, and how many of its prompt's first
        tokens the slot holds already. At least one slot must be free.

        llama.cpp's sums depend on where in the cache the tokens are, and on the chunks in which
        they were read. So a `repeatable` request that begins while no other runs gets the cache for
        itself, and reuses only what it would have computed in the same way.
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
        for oldest in to_evict(self._slots, sum(self._rooms.values()), self._cache.tokens):
            self.drop(oldest)
        return index, cached

    def _take(self, prompt: Sequence[int], reuse: bool) -> tuple[int, int]:
        found = place(prompt, self._slots, self._can_cut, reuse)
        if found.source == found.slot:
            return found.slot, self._cut(found.slot, found.cached)
        self.drop(found.slot)
        self._cache.share(found.source, found.slot, found.cached)
        return found.slot, found.cached

    def _take_alone(self, prompt: Sequence[int], reuse: bool) -> tuple[int, int]:
        """The slot with the longest repeatable prefix. All others are emptied."""
        known = [
            self._border(min(common(prompt, slot.tokens), slot.repeatable, len(prompt) - 1))
            for slot in self._slots
        ]
        if not reuse or not self._can_cut:
            known = [0] * len(known)
        best = max(range(len(known)), key=known.__getitem__)
        for index, slot in enumerate(self._slots):
            if index != best and slot.tokens:
                self.drop(index)
        return best, self._cut(best, known[best])

    def _cut(self, index: int, length: int) -> int:
        """Keep the first `length` tokens of a slot. Returns how many are left: none if the model's
        state can't be cut."""
        if length == 0:
            self.drop(index)
        elif length < len(self._slots[index].tokens) and not self._cache.forget(index, length):
            self.drop(index)
            return 0
        return length

    def fill(self, index: int, tokens: Sequence[int]) -> None:
        """Note that the next step adds these tokens to the slot."""
        self._slots[index].tokens.extend(tokens)

    def leave(self, index: int) -> None:
        """Free the slot of a request that has ended; its tokens stay."""
        self._slots[index].busy = False
        del self._rooms[index]

    def drop(self, index: int) -> None:
        """Empty a slot."""
        if self._slots[index].tokens:
            self._cache.forget(index)
        self._slots[index].tokens = []
        self._slots[index].repeatable = 0

    @property
    def held(self) -> int:
        """How many tokens all slots hold together."""
        return sum(len(slot.tokens) for slot in self._slots)
