"""How likely a token was: natural logarithms of probabilities, from the model's own logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy

from rbee.contract.events import LikelyToken, TokenLogprob

# Where a probability is 0: JSON has no infinity. OpenAI tells the same.
_IMPOSSIBLE = -9999.0


class Likelihood:
    """The probabilities of all tokens at one place, by softmax over their logits."""

    def __init__(self, logits: numpy.ndarray, most: int) -> None:
        """Of the `most` likeliest tokens. `logits` may change afterwards, except the one of the
        token that is chosen."""
        peak = logits.max()
        total = numpy.exp(logits - peak).sum(dtype=numpy.float64)
        self._logits = logits
        self._whole = float(peak) + float(numpy.log(total))
        top = numpy.argpartition(-logits, min(most, len(logits) - 1))[:most]
        order = top[numpy.argsort(-logits[top], kind="stable")]
        self._top = [(int(token), self._logprob(int(token))) for token in order]

    def of(self, token: int, spelled: Callable[[int], bytes]) -> TokenLogprob:
        """That of the chosen `token`, with the likeliest. `spelled` gives the bytes of a token."""
        top = [LikelyToken(*_text(spelled(each)), logprob) for each, logprob in self._top]
        return TokenLogprob(*_text(spelled(token)), self._logprob(token), top)

    def _logprob(self, token: int) -> float:
        return max(float(self._logits[token]) - self._whole, _IMPOSSIBLE)


def _text(spelled: bytes) -> tuple[str, list[int]]:
    return spelled.decode(errors="replace"), list(spelled)
