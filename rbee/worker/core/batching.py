"""How much of a prompt is read in one step, so that running answers do not stand still."""

from __future__ import annotations

_ALONE = 256
_BESIDE_OTHERS = 64


def prefill_chunk(left: int, answering: int, room: int) -> int:
    """Tokens of a prompt with `left` to go for the next batch, in which `room` are free, while
    `answering` other requests wait for their next token in the same step."""
    return min(left, room, _BESIDE_OTHERS if answering else _ALONE)
