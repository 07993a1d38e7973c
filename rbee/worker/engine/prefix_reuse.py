"""Which slot a prompt goes to, and how much of its beginning is in the KV cache already."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Slot(msgspec.Struct):
    """A sequence of the KV cache: the tokens that it holds, whether a request runs in it, and a
    number that grows with each use. The first `repeatable` of its tokens would be computed the same
    again: they are of a prompt that was read from its beginning, with nothing else in the cache."""

    tokens: list[int] = []
    busy: bool = False
    used: int = 0
    repeatable: int = 0


class Place(msgspec.Struct, frozen=True):
    """Begin in `slot` with `cached` tokens that `source` holds; often they are the same."""

    slot: int
    source: int
    cached: int


def place(prompt: Sequence[int], slots: Sequence[Slot], parts: bool, reuse: bool) -> Place:
    """Where to begin; one slot at least is free.

    The last token of a prompt is always computed, since the first answer comes from it. Without
    `parts` the model's state can't be cut back or shared, only carried on from where it ends.
    Without `reuse` nothing is taken over.
    """
    free = [index for index, slot in enumerate(slots) if not slot.busy]
    oldest = min(free, key=lambda index: (bool(slots[index].tokens), slots[index].used))
    most = len(prompt) - 1
    best, cached = oldest, 0
    for index, slot in enumerate(slots if reuse else ()):
        shared = common(prompt, slot.tokens)
        if not parts and (slot.busy or shared < len(slot.tokens) or shared > most):
            continue
        if min(shared, most) > cached:
            best, cached = index, min(shared, most)
    if slots[best].busy:
        return Place(oldest, best, cached)
    # What a conversation throws away is short. A long rest may be asked for again: it stays.
    takes_over = not parts or 2 * cached >= len(slots[best].tokens)
    return Place(best if takes_over else oldest, best, cached)


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts share at their beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def to_evict(slots: Sequence[Slot], wanted: int, context: int) -> list[int]:
    """The free slots whose tokens must go, the oldest first, so that `wanted` tokens (of which the
    running requests are a part) fit into the context beside what is left."""
    held = sorted(
        (index for index, slot in enumerate(slots) if not slot.busy and slot.tokens),
        key=lambda index: slots[index].used,
    )
    gone: list[int] = []
    over = wanted + sum(len(slots[index].tokens) for index in held) - context
    while over > 0 and held:
        over -= len(slots[held[0]].tokens)
        gone.append(held.pop(0))
    return gone
