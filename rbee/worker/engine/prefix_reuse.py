"""Which slot a prompt goes to, and how much of its prefix is in the KV cache already."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Slot(msgspec.Struct):
    """A sequence of the KV cache: its tokens, whether a request runs in it, and a number that grows
    with each use. The first `repeatable` of its tokens would be computed in the same way again:
    they are part of a prompt that was read from its beginning, with nothing else in the cache."""

    tokens: list[int] = []
    busy: bool = False
    used: int = 0
    repeatable: int = 0


class Place(msgspec.Struct, frozen=True):
    """Begin in `slot` with `cached` tokens of `source`, which often is the same slot."""

    slot: int
    source: int
    cached: int


def place(prompt: Sequence[int], slots: Sequence[Slot], can_cut: bool) -> Place:
    """Where a prompt begins. At least one slot must be free.

    The last token of a prompt is always computed, since the first token of the answer comes from
    it. Without `can_cut` the model's state can't be cut back or shared, only continued at its end.
    """
    oldest = oldest_free(slots)
    most = len(prompt) - 1
    best, cached = oldest, 0
    for index, slot in enumerate(slots):
        shared = common(prompt, slot.tokens)
        if not can_cut and (slot.busy or shared < len(slot.tokens) or shared > most):
            continue
        if min(shared, most) > cached:
            best, cached = index, min(shared, most)
    if slots[best].busy:
        return Place(oldest, best, cached)
    # A conversation discards only a little. A long rest may be wanted again, so it stays.
    takes_over = not can_cut or 2 * cached >= len(slots[best].tokens)
    return Place(best if takes_over else oldest, best, cached)


def oldest_free(slots: Sequence[Slot]) -> int:
    """The free slot that has been empty, or unused, for longest."""
    free = [index for index, slot in enumerate(slots) if not slot.busy]
    return min(free, key=lambda index: (bool(slots[index].tokens), slots[index].used))


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the prefix that two texts share."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def to_evict(slots: Sequence[Slot], wanted: int, context: int) -> list[int]:
    """The free slots to empty, the oldest first, so that `wanted` tokens (those of the running
    requests included) fit into the context beside what is left."""
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
