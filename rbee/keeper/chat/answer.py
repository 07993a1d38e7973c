"""The answer that has come so far, and the proof that it is complete."""

from __future__ import annotations

from rbee.contract.errors import StreamTruncated
from rbee.contract.events import Accepted, Done, Event, Started, Token

# Seconds to wait when all slots are busy, before each of the three retries.
BUSY_PAUSES_S = (1, 2, 4)


def waiting(turn: int, left_s: int) -> str:
    """What is shown during the wait before retry number `turn`, with `left_s` seconds left; with 0
    left, how long it was. It fits a line of 40 columns."""
    of = f"({turn} of {len(BUSY_PAUSES_S)})"
    if left_s:
        return f"⏳ busy: trying again in {left_s} s {of}"
    return f"⏳ busy: tried again after {BUSY_PAUSES_S[turn - 1]} s {of}"


class Answer:
    """Feed it every event. Only `done` and the end of the stream after it prove it complete."""

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.node: str | None = None
        self.tokens = 0
        self.done: Done | None = None
        self._text: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._text)

    def take(self, event: Event) -> None:
        """Add what this event brings."""
        if isinstance(event, Accepted):
            self.request_id = event.request_id
        elif isinstance(event, Started):
            self.node = event.node
        elif isinstance(event, Token):
            self.tokens += 1
            self._text.append(event.token)
        elif isinstance(event, Done):
            self.done = event

    def proof(self) -> Done:
        """The `done` of a stream that has ended with `[DONE]`. Raises STREAM_TRUNCATED."""
        if self.done is None:
            raise StreamTruncated(tokens=self.tokens)
        return self.done


def summary(done: Done) -> str:
    """The figures of an answer in one line."""
    words = "token" if done.total_tokens == 1 else "tokens"
    first = f"{done.time_to_first_token_ms:.0f} ms to first token"
    return f"{done.total_tokens} {words} · {first} · {done.tokens_per_second:.1f} tokens/s"
