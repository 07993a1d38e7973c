"""What has come of an answer, and whether it is proven to be whole."""

from __future__ import annotations

from rbee.contract.errors import StreamTruncated
from rbee.contract.events import Accepted, Done, Event, Token

# Seconds to wait where all slots are busy, before each of the three further tries.
BUSY_PAUSES_S = (1, 2, 4)


class Answer:
    """Feed it every event. It is proven only by `done`, and by the stream's own end after it."""

    def __init__(self) -> None:
        self.request_id: str | None = None
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
