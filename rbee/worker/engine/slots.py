"""The slots of the KV cache: which request is in which, and what stays there for the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rbee.worker.engine.prefix_reuse import Slot, common, oldest_free, place, to_evict
from rbee.worker.engine.prompt_cache import PromptCache, Saved

# To copy a token's state takes less than a thirtieth of the time to compute it.
_WORTH = 30


class Cache(Protocol):
    """What the slots need of llama.cpp's context, which is documented at `Context`."""

    tokens: int

    def forget(self, sequence: int, keep: int = 0) -> bool: ...

    def clear_cache(self) -> None: ...

    def share(self, source: int, sequence: int, count: int) -> None: ...

    def state_bytes(self, sequence: int) -> int: ...

    def save(self, sequence: int) -> Any: ...

    def restore(self, sequence: int, state: Any) -> bool: ...


class Slots:
    """Only the engine's thread touches them. A slot keeps the tokens of its last request until
    another request begins; then they move to `prompts`."""

    def __init__(
        self,
        cache: Cache,
        count: int,
        can_cut: bool,
        border: Callable[[int], int],
        prompts: PromptCache,
    ) -> None:
        """`can_cut`: whether the model's state can be cut back to a prefix. `border(position)` is
        where the chunk begins in which a position is read, for a prompt that is read alone."""
        self._cache = cache
        self._prompts = prompts
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
        alone = repeatable and not others
        index, source, cached = self._choose_alone(prompt) if alone else self._choose(prompt)
        if not reuse:
            index = source = oldest_free(self._slots)
            cached = 0
        slot = self._slots[index]
        if source != index or not cached:
            self._put_away(index)
            self.drop(index)
        slot.busy = True
        self._uses += 1
        slot.used = self._uses
        self._rooms[index] = room
        if isinstance(source, int) and source != index:
            self._cache.share(source, index, cached)
        self._make_room(alone)
        if isinstance(source, Saved):
            cached = self._restore(index, source, cached)
        elif source == index and cached:
            cached = self._cut(index, cached)
        clean = not others and not any(s.tokens for s in self._slots if s is not slot)
        same = cached <= slot.repeatable and cached == self._border(cached)
        slot.repeatable = len(prompt) if clean and (same or not cached) else 0
        for other in others:
            other.repeatable = 0
        slot.tokens = list(prompt[:cached])
        return index, cached

    def _choose(self, prompt: Sequence[int]) -> tuple[int, int | Saved, int]:
        """The slot to begin in, and what of the prompt is already known: in this slot, in another,
        or in main memory."""
        found = place(prompt, self._slots, self._can_cut)
        best, cached = self._longest(prompt, lambda saved, length: length)
        if best is not None and (cached - found.cached) * _WORTH >= len(best.tokens):
            return oldest_free(self._slots), best, cached
        return found.slot, found.source, found.cached

    def _choose_alone(self, prompt: Sequence[int]) -> tuple[int, int | Saved, int]:
        """The same, with what would be computed in the same way again."""
        if not self._can_cut:
            return 0, 0, 0
        known = [
            self._border(min(common(prompt, slot.tokens), slot.repeatable, len(prompt) - 1))
            for slot in self._slots
        ]
        index = max(range(len(known)), key=known.__getitem__)
        best, cached = self._longest(
            prompt, lambda saved, length: self._border(min(length, saved.repeatable))
        )
        if best is not None and cached > known[index]:
            return index, best, cached
        return index, index, known[index]

    def _longest(
        self, prompt: Sequence[int], usable: Callable[[Saved, int], int]
    ) -> tuple[Saved | None, int]:
        """The state in main memory that has most of the prompt, by what is `usable` of it."""
        most = self._cache.tokens - sum(self._rooms.values())
        found = [(each, usable(each, length)) for each, length in self._prompts.find(prompt, most)]
        return max(found, key=lambda pair: pair[1], default=(None, 0))

    def _make_room(self, alone: bool) -> None:
        """Move what the free slots hold to main memory. What has no room there stays as long as its
        cells are not wanted; nothing stays beside a request that has the cache for itself."""
        for index, slot in enumerate(self._slots):
            if not slot.busy:
                self._put_away(index)
                if alone:
                    self.drop(index)
        for oldest in to_evict(self._slots, sum(self._rooms.values()), self._cache.tokens):
            self.drop(oldest)

    def _put_away(self, index: int) -> None:
        slot = self._slots[index]
        if not slot.tokens:
            return
        if not self._prompts.covers(slot.tokens):
            size = self._cache.state_bytes(index)
            if not self._prompts.has_room(size):
                return
            state = self._cache.save(index)
            self._prompts.add(Saved(slot.tokens, slot.repeatable, state, size))
        self.drop(index)

    def _restore(self, index: int, saved: Saved, length: int) -> int:
        """Put a state into an empty slot. Returns how many of its tokens are left there."""
        if not self._cache.restore(index, saved.state):
            return 0
        self._prompts.use(saved, length)
        self._slots[index].tokens = saved.tokens
        self._slots[index].repeatable = saved.repeatable
        return self._cut(index, length)

    def _cut(self, index: int, length: int) -> int:
        """Keep the first `length` tokens of a slot, at least one. Returns how many are left: none
        if the model's state can't be cut."""
        if length < len(self._slots[index].tokens) and not self._cache.forget(index, length):
            self.drop(index)
            return 0
        return length

    def fill(self, index: int, tokens: Sequence[int], in_long_step: bool = False) -> None:
        """Note that the next step adds these tokens to the slot. No repeatable request has a long
        step."""
        slot = self._slots[index]
        if in_long_step:
            slot.repeatable = min(slot.repeatable, len(slot.tokens))
        slot.tokens.extend(tokens)

    def take_back(self, index: int, count: int) -> None:
        """Note that the last `count` tokens were not added to the slot after all."""
        tokens = self._slots[index].tokens
        del tokens[len(tokens) - count :]

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

    def clear(self) -> None:
        """Empty the whole cache, and drop what has left it. No slot may be busy."""
        self._prompts.clear()
        for index in range(len(self._slots)):
            self.drop(index)
        self._cache.clear_cache()

    @property
    def saved(self) -> tuple[int, int]:
        """How many tokens have their state in main memory, and its bytes."""
        return self._prompts.tokens, self._prompts.size_bytes

    @property
    def held(self) -> int:
        """How many tokens all slots hold together."""
        return sum(len(slot.tokens) for slot in self._slots)
