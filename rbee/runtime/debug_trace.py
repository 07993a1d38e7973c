"""The trace of one command: its requests to the daemons, when, and with what outcome.

`--debug` shows it. Its correlation id is in the logs of every program that took part.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import re
import time
from collections.abc import Callable, Iterator

from rbee.contract.events import NAMES, Event, Narration, Token
from rbee.runtime import safe_text
from rbee.runtime.log import correlation_id

HIDDEN = "…"
_SECRETS = r"(Bearer\s+|hf_)[\w.~+/=-]+"

# Whether the user wants to see the trace: set by the command line, for the command that follows.
wanted: contextvars.ContextVar[bool] = contextvars.ContextVar("wanted", default=False)
_current: contextvars.ContextVar[CommandTrace | None] = contextvars.ContextVar(
    "trace", default=None
)


class CommandTrace:
    """The trace of one command. `heard` is set once a daemon has answered with the correlation id:
    then that daemon's log has it too, and showing it helps."""

    def __init__(self, trace_id: str, tell: Callable[[str], None] | None) -> None:
        self.trace_id = trace_id
        self.heard = False
        self._tell = tell
        self._began = time.monotonic()
        self._hidden: set[str] = set()

    def begin(self) -> None:
        """What follows is about something else than what the daemons have logged so far."""
        self.heard = False

    @property
    def is_shown(self) -> bool:
        return self._tell is not None

    def hide(self, secret: str | None) -> None:
        """Never show `secret`, wherever it turns up."""
        if secret:
            self._hidden.add(secret)

    def note(self, words: str) -> None:
        """Add something that happens now."""
        self.add(f"{time.monotonic() - self._began:7.3f} s  {words}")

    def add(self, text: str) -> None:
        """Add one or more lines, whenever they happened."""
        if self._tell is not None:
            for line in self._clean(text).rstrip("\n").split("\n"):
                self._tell(f"[debug] {safe_text.line(line)}".rstrip())

    def _clean(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, HIDDEN)
        return re.sub(_SECRETS, rf"\1{HIDDEN}", text)


def current() -> CommandTrace | None:
    """The trace of the running command; None in a daemon."""
    return _current.get()


@contextlib.contextmanager
def traced(tell: Callable[[str], None]) -> Iterator[CommandTrace]:
    """Trace a command: all its requests carry one new correlation id. `tell` shows a line of the
    trace, if the user wants to see it."""
    trace = CommandTrace(os.urandom(8).hex(), tell if wanted.get() else None)
    outer_id, following = correlation_id.set(trace.trace_id), _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(following)
        correlation_id.reset(outer_id)


class RequestTrace:
    """One request in the trace; in a daemon, which has no trace, it is not recorded."""

    def __init__(self, what: str) -> None:
        self._trace = current()
        self._what = what
        self._began = time.monotonic()

    def hide(self, key: str) -> None:
        """Never show the key that it carries."""
        if self._trace is not None:
            self._trace.hide(key)

    def answered(self, status: int, trace_id: str | None) -> None:
        """`trace_id` is the correlation id in the response."""
        if self._trace is not None:
            self._trace.heard = self._trace.heard or trace_id == self._trace.trace_id
        self.failed(str(status))

    def failed(self, reason: str) -> None:
        if self._trace is not None:
            took = (time.monotonic() - self._began) * 1000
            self._trace.note(f"{self._what}: {reason}, after {took:.0f} ms")


class StreamTrace:
    """The events of a stream in the trace: the first of several of a kind, and a count of tokens.
    Narration is shown anyway, so it is left out."""

    def __init__(self) -> None:
        self._trace = current()
        self._tokens = 0
        self._last: type[Event] | None = None

    def take(self, event: Event) -> None:
        if self._trace is None or isinstance(event, Narration):
            return
        self._tokens += isinstance(event, Token)
        if not isinstance(event, self._last or ()):
            self._last = type(event)
            first = "the first " if isinstance(event, Token) else ""
            self._trace.note(f"event: {first}{NAMES[type(event)]}")

    def end(self) -> None:
        if self._trace is not None:
            came = f" after {self._tokens} tokens" if self._tokens else ""
            self._trace.note(f"the stream's end{came}")
