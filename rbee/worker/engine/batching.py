"""How much of a prompt is read in one step.

If nothing else runs, a chunk may take as long as a cancel may wait; a step that can be interrupted
may take longer. Beside answers that are being made, a step may take a few times as long as without
a prompt, so that their tokens keep coming.
"""

from __future__ import annotations

import math

# A cancel takes effect after the step. One second is promised; the rest is for a busy machine.
_LONGEST_STEP_S = 0.6
# One that is interrupted is computed again, and no progress is told meanwhile.
_LONGEST_INTERRUPTIBLE_S = 3.0
_SMALLEST = 16
# Operations per second of a small computer, and how many tokens tell more than that guess.
_SLOW = 30e9
_ENOUGH = 8
_SMALLEST_BESIDE = 4
# How long a step with a chunk may take, as a multiple of one without. The limits are a prompt that
# takes twice its time alone, and gaps between tokens of four times the usual.
_STRETCH = 3.0
_MEMORY = 0.3
# No clock is finer.
_SHORTEST_S = 1e-9


class Pace:
    """Measures the steps of one context and decides how large a chunk may be. Seconds and tokens.

    The size of a chunk that is read alone depends only on its position: llama.cpp's sums depend on
    the size of the batch, and the same request alone must give the same text. So where the speed is
    a guess, every prompt begins with a chunk of the size that was guessed. The first of them is
    timed, and decides how large all that follow a first one are.
    """

    def __init__(
        self, token_s: float, doubled_at: int, largest: int, guessed: bool = False
    ) -> None:
        """Prefill takes `token_s` per token at the beginning of a prompt, and twice that at the
        position `doubled_at`. A batch holds `largest` tokens."""
        self._token_s = token_s
        self._doubled_at = doubled_at
        self._largest = largest
        self._guessed = guessed
        self._first = self._affordable(0)
        self._read_s = token_s
        self._decode_s: dict[int, float] = {}

    def chunk(self, position: int, decoding: int) -> int:
        """How many prompt tokens the next step may read, from `position` on, while `decoding`
        requests make a token each in the same step."""
        alone = self._alone(position)
        if decoding == 0:
            return alone
        spare_s = self._without_prompt(decoding) * (_STRETCH - 1)
        return max(min(int(spare_s / self._read_s), alone), _SMALLEST_BESIDE)

    def long_chunk(self, position: int) -> int:
        """How many tokens of a prompt the next step may read from `position` on, while there is no
        other request, and whatever comes interrupts the step."""
        return self._affordable(position, _LONGEST_INTERRUPTIBLE_S)

    def border(self, position: int) -> int:
        """Where the chunk begins in which `position` is read, for a prompt that is read alone."""
        begin = 0
        while begin + (chunk := self._alone(begin)) <= position:
            begin += chunk
        return begin

    def note(self, decoding: int, read: int, took_s: float, cpu_s: float | None = None) -> None:
        """Note how long a step took, with how many requests decoding and how many tokens read.
        `cpu_s` of it this thread has computed, if that is known: what other work on the machine
        added must not decide once and for all. It may also have waited for our own other threads,
        so at most two thirds of the time are left out."""
        if read == 0:
            self._decode_s[decoding] = _mix(self._decode_s.get(decoding), took_s)
        elif self._guessed and not decoding and read >= _ENOUGH:
            self._guessed = False
            computed_s = max(cpu_s or took_s, took_s / 3)
            self._token_s = self._read_s = max(computed_s / read, _SHORTEST_S)
        elif decoding:
            # The prompt's part can't be negative, however noisy the clock is.
            spent = max(took_s - self._without_prompt(decoding), took_s / 10)
            self._read_s = _mix(self._read_s, spent / read)

    def _alone(self, position: int) -> int:
        return self._affordable(position) if position else self._first

    def _affordable(self, position: int, within_s: float = _LONGEST_STEP_S) -> int:
        affordable = within_s / (self._token_s * (1 + position / self._doubled_at))
        largest: int = 2 ** int(math.log2(max(affordable, _SMALLEST)))
        return min(largest, self._largest)

    def _without_prompt(self, decoding: int) -> float:
        known = max((count for count in self._decode_s if count <= decoding), default=None)
        return self._token_s if known is None else self._decode_s[known]


def guess_s(parameters: int) -> float:
    """Seconds per token of prefill for a model of so many weights, on a small computer: it takes
    two operations for each of them."""
    return 2 * parameters / _SLOW


def share_out(budget: int, unread: list[int]) -> list[int]:
    """How much of each prompt to read in a step that may read `budget` tokens: equal shares, and
    what a short prompt leaves goes to the others."""
    shares = [0] * len(unread)
    by_length = sorted(range(len(unread)), key=lambda index: unread[index])
    for rank, index in enumerate(by_length):
        shares[index] = min(unread[index], -(-budget // (len(unread) - rank)))
        budget -= shares[index]
    return shares


def _mix(known: float | None, new: float) -> float:
    return new if known is None else known + _MEMORY * (new - known)
