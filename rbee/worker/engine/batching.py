"""How much of a prompt is read in one step.

Alone, a chunk may take as long as a cancel may wait. Beside answers that are being made, a step may
take a few times what it takes without a prompt, so that their tokens keep coming.
"""

from __future__ import annotations

import math

# A cancel is obeyed after the step: a second is the promise, the rest is room for a busy machine.
_LONGEST_STEP_S = 0.6
_SMALLEST = 16
_SMALLEST_BESIDE = 4
# A step with a chunk, as a multiple of one without. Twice the prompt's time alone is the limit on
# one side, gaps of four times the usual on the other.
_STRETCH = 3.0
_MEMORY = 0.3


class Pace:
    """What the steps of one context cost, and so how large a chunk may be. Seconds and tokens.

    The size of a chunk read alone depends on its position only, never on what was measured since
    the load: llama.cpp's sums depend on the size of the batch, and the same request alone is to
    give the same text.
    """

    def __init__(self, token_s: float, doubled_at: int, largest: int) -> None:
        """`token_s` is the time for one token of a prompt at its beginning; at the position
        `doubled_at` it takes twice as long; a batch holds `largest` tokens."""
        self._token_s = token_s
        self._doubled_at = doubled_at
        self._largest = largest
        self._read_s = token_s
        self._answer_s: dict[int, float] = {}

    def chunk(self, position: int, answering: int) -> int:
        """Tokens of prompts for the next step, the first of which stands at `position`, while
        `answering` requests make a token each in the same step."""
        alone = self._alone(position)
        if answering == 0:
            return alone
        spare_s = self._without_prompt(answering) * (_STRETCH - 1)
        return max(min(int(spare_s / self._read_s), alone), _SMALLEST_BESIDE)

    def border(self, position: int) -> int:
        """Where the chunk begins in which `position` is read, for a prompt that is read alone."""
        begin = 0
        while begin + (chunk := self._alone(begin)) <= position:
            begin += chunk
        return begin

    def note(self, answering: int, read: int, took_s: float) -> None:
        """A step took so long, in which so many requests made a token and so much was read."""
        if read == 0:
            self._answer_s[answering] = _mix(self._answer_s.get(answering), took_s)
        elif answering:
            # What is left for the prompt can't be less than nothing, however noisy the clock.
            spent = max(took_s - self._without_prompt(answering), took_s / 10)
            self._read_s = _mix(self._read_s, spent / read)

    def _alone(self, position: int) -> int:
        affordable = _LONGEST_STEP_S / (self._token_s * (1 + position / self._doubled_at))
        largest: int = 2 ** int(math.log2(max(affordable, _SMALLEST)))
        return min(largest, self._largest)

    def _without_prompt(self, answering: int) -> float:
        known = max((count for count in self._answer_s if count <= answering), default=None)
        return self._token_s if known is None else self._answer_s[known]


def share_out(budget: int, unread: list[int]) -> list[int]:
    """How much of each prompt is read in a step that may read `budget` tokens: all get the same,
    and what a short one leaves goes to the others."""
    shares = [0] * len(unread)
    by_length = sorted(range(len(unread)), key=lambda index: unread[index])
    for rank, index in enumerate(by_length):
        shares[index] = min(unread[index], -(-budget // (len(unread) - rank)))
        budget -= shares[index]
    return shares


def _mix(known: float | None, news: float) -> float:
    return news if known is None else known + _MEMORY * (news - known)
