"""The answer that has come so far, and the proof that it is complete."""

from __future__ import annotations

import msgspec

from rbee.contract.errors import StreamTruncated
from rbee.contract.events import Accepted, Call, Done, Event, Started, Token

# Seconds to wait when all slots are busy, before each of the three retries.
BUSY_PAUSES_S = (1, 2, 4)


def waiting(turn: int, left_s: int) -> str:
    """What is shown during the wait before retry number `turn`, with `left_s` seconds left; with 0
    left, how long it was. It fits a line of 40 columns."""
    of = f"({turn} of {len(BUSY_PAUSES_S)})"
    if left_s:
        return f"⏳ busy: trying again in {left_s} s {of}"
    return f"⏳ busy: tried again after {BUSY_PAUSES_S[turn - 1]} s {of}"


class Called(msgspec.Struct):
    """A function that the model wants to call. `arguments` is what came of their JSON."""

    name: str
    arguments: str = ""

    def as_json(self) -> str:
        """One line. Arguments that are not JSON stay text."""
        try:
            arguments = msgspec.json.decode(self.arguments)
        except (msgspec.DecodeError, RecursionError):
            arguments = self.arguments
        return msgspec.json.encode({"name": self.name, "arguments": arguments}).decode()


class Answer:
    """Feed it every event. Only `done` and the end of the stream after it prove it complete.

    `text` is what the model says, without its reasoning; `calls` are the functions that it wants
    to call.
    """

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.node: str | None = None
        self.worker_id: str | None = None
        self.tokens = 0
        self.done: Done | None = None
        self.calls: list[Called] = []
        self._text: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._text)

    def take(self, event: Event) -> None:
        """Add what this event brings."""
        if isinstance(event, Accepted):
            self.request_id = event.request_id
        elif isinstance(event, Started):
            self.node, self.worker_id = event.node, event.worker_id
        elif isinstance(event, Token):
            self.tokens = max(self.tokens, event.index + 1)
            if event.channel == "text":
                self._text.append(event.token)
            elif event.call is not None:
                self._take_call(event.call, event.token)
        elif isinstance(event, Done):
            self.done = event

    def _take_call(self, call: Call, arguments: str) -> None:
        if call.name is not None:
            self.calls.append(Called(call.name))
        if self.calls:
            self.calls[-1].arguments += arguments

    def proof(self) -> Done:
        """The `done` of a stream that has ended with `[DONE]`. Raises STREAM_TRUNCATED."""
        if self.done is None:
            raise StreamTruncated(tokens=self.tokens)
        return self.done


def summary(done: Done) -> str:
    """The figures of an answer in one line, which says so if the answer was cut."""
    words = "token" if done.total_tokens == 1 else "tokens"
    first = f"{done.time_to_first_token_ms:.0f} ms to first token"
    cut = {
        "MAX_TOKENS": f" · stopped at --max-tokens {done.total_tokens}",
        "CONTEXT_FULL": " · stopped because the context is full",
    }.get(done.stop_reason, "")
    return f"{done.total_tokens} {words} · {first} · {done.tokens_per_second:.1f} tokens/s{cut}"
