"""What has come of an answer, and whether it is proven to be whole."""

from __future__ import annotations

from rbee.contract.errors import StreamTruncated
from rbee.contract.events import Accepted, Done, Event, Started, Token

# Seconds to wait where all slots are busy, before each of the three further tries.
BUSY_PAUSES_S = (1, 2, 4)


def waiting(turn: int, left_s: int) -> str:
    """What is told of the wait before try number `turn`, of which `left_s` seconds are left; after
    it, 0, how long it was. Short enough for one line of 40 columns."""
    of = f"({turn} of {len(BUSY_PAUSES_S)})"
    if left_s:
        return f"⏳ busy: trying again in {left_s} s {of}"
    return f"⏳ busy: tried again after {BUSY_PAUSES_S[turn - 1]} s {of}"


class Answer:
    """Feed it every event. It is proven only by `done`, and by the stream's own end after it."""

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
        """Keep what this event adds."""
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
        """The `done` of a stream that has ended with `[DONE]`; raises STREAM_TRUNCATED."""
        if self.done is None:
            raise StreamTruncated(tokens=self.tokens)
        return self.done


def summary(done: Done) -> str:
    """One line of figures."""
    words = "token" if done.total_tokens == 1 else "tokens"
    first = f"{done.time_to_first_token_ms:.0f} ms to first token"
    return f"{done.total_tokens} {words} · {first} · {done.tokens_per_second:.1f} tokens/s"
