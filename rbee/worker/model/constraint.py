"""Which tokens of an answer its grammar allows next, as llguidance computes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rbee.contract.errors import InvalidRequest

if TYPE_CHECKING:  # both take a while to import, and most answers have no grammar
    import numpy
    from llguidance import LLMatcher

_PLACE = re.compile(r"^(?:at )?\d+\(\d+\): ")


class Constraint:
    """Holds one answer to a grammar. Only one thread may use it at a time."""

    def __init__(self, matcher: LLMatcher, field: str) -> None:
        self._matcher = matcher
        self._field = field

    @property
    def is_complete(self) -> bool:
        """Whether nothing may follow but the end."""
        return self._matcher.is_stopped()

    def restrict(self, logits: numpy.ndarray) -> None:
        """Forbid every token that may not come next. `logits` has one for each token. Raises
        INVALID_REQUEST if the grammar turns out to be too complex, or to have no way on."""
        import numpy

        bits = numpy.frombuffer(self._matcher.compute_bitmask(), dtype=numpy.uint8)
        self.check()
        allowed = numpy.unpackbits(bits, count=len(logits), bitorder="little")
        logits[allowed == 0] = -numpy.inf

    def accept(self, token: int) -> None:
        """Go on behind `token`, which was allowed. Raises as `restrict` does."""
        self._matcher.consume_token(token)
        self.check()

    def check(self) -> None:
        """Raises INVALID_REQUEST if there is no way on."""
        if wrong := reason(self._matcher):
            raise refused(self._field, wrong)


def refused(field: str, reason: str) -> InvalidRequest:
    """The error for a grammar that can't be had."""
    message = f"No answer can be held to this: {reason}"
    return InvalidRequest.of(field, "a form that the grammar engine supports", message)


def reason(matcher: LLMatcher) -> str | None:
    """What is wrong with a grammar, in one line: llguidance's own words."""
    if not matcher.is_error() and (matcher.is_accepting() or not matcher.is_stopped()):
        return None
    text = matcher.get_error().strip()
    if not text or text.startswith("NoExtension"):
        return "no text of this model's tokens has this form"
    if text.startswith("panic"):
        return "it is too large"
    # Behind "at LINE(COLUMN): " of the text that the worker made.
    first, *others = (
        _PLACE.sub("", text).removeprefix("failed to compile JSON schema: ").split("\n")
    )
    if first.endswith(":"):  # of a regular expression, which is drawn below
        said = (line.removeprefix("error: ") for line in others if line.startswith("error: "))
        first = f"{first} {next(said, '')}".strip()
    return first if len(first) <= 300 else f"{first[:300]}…"
