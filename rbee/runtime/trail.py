"""What one command asks of the daemons: under which mark, when, and with what outcome.

The mark is the correlation id, which every program logs. The trail is what `--debug` shows of it.
"""

from __future__ import annotations

import contextlib
import contextvars
import re
import secrets
import time
from collections.abc import Callable, Iterator

from rbee.contract.events import NAMES, Event, Narration, Token
from rbee.runtime.log import correlation_id, harmless

HIDDEN = "…"
_SECRETS = re.compile(r"(Bearer\s+|hf_)[\w.~+/=-]+")

# Whether the person wants to see the trail: set by the command line, for the command that follows.
wanted: contextvars.ContextVar[bool] = contextvars.ContextVar("wanted", default=False)
_current: contextvars.ContextVar[Trail | None] = contextvars.ContextVar("trail", default=None)


class Trail:
    """Of one command. `heard` is set once a daemon has answered under the mark: then it stands in
    that daemon's log, and is of use to a person."""

    def __init__(self, mark: str, tell: Callable[[str], None] | None) -> None:
        self.mark = mark
        self.heard = False
        self._tell = tell
        self._began = time.monotonic()
        self._hidden: set[str] = set()

    @property
    def is_told(self) -> bool:
        return self._tell is not None

    def hide(self, secret: str | None) -> None:
        """Never to be shown, wherever it may turn up."""
        if secret:
            self._hidden.add(secret)

    def note(self, words: str) -> None:
        """Something that happens now."""
        self.add(f"{time.monotonic() - self._began:7.3f} s  {words}")

    def add(self, text: str) -> None:
        """Something that belongs to the trail, whenever it happened; a line or more."""
        if self._tell is not None:
            for line in self._clean(text).splitlines():
                self._tell(f"[debug] {harmless(line)}".rstrip())

    def _clean(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, HIDDEN)
        return _SECRETS.sub(rf"\1{HIDDEN}", text)


def current() -> Trail | None:
    """The trail of the command that this is a part of; None in a daemon."""
    return _current.get()


@contextlib.contextmanager
def followed(tell: Callable[[str], None]) -> Iterator[Trail]:
    """A command's time: everything that is asked within it is asked under one new mark. `tell`
    shows a line of the trail, where one is wanted."""
    trail = Trail(secrets.token_hex(8), tell if wanted.get() else None)
    marked, following = correlation_id.set(trail.mark), _current.set(trail)
    try:
        yield trail
    finally:
        _current.reset(following)
        correlation_id.reset(marked)


class Exchange:
    """One request, as the trail has it; in a daemon, where there is none, it goes unnoted."""

    def __init__(self, what: str) -> None:
        self._trail = current()
        self._what = what
        self._began = time.monotonic()

    def hide(self, key: str) -> None:
        """A key that it carries."""
        if self._trail is not None:
            self._trail.hide(key)

    def answered(self, status: int, mark: str | None) -> None:
        """`mark` is the correlation id that came back."""
        if self._trail is not None:
            self._trail.heard = self._trail.heard or mark == self._trail.mark
        self.failed(str(status))

    def failed(self, reason: str) -> None:
        if self._trail is not None:
            took = (time.monotonic() - self._began) * 1000
            self._trail.note(f"{self._what}: {reason}, after {took:.0f} ms")


class Hearing:
    """A stream's events, as the trail has them: of several of a kind the first, and how many tokens
    came in all. Narration is not told twice."""

    def __init__(self) -> None:
        self._trail = current()
        self._tokens = 0
        self._last: type[Event] | None = None

    def take(self, event: Event) -> None:
        if self._trail is None or isinstance(event, Narration):
            return
        self._tokens += isinstance(event, Token)
        if not isinstance(event, self._last or ()):
            self._last = type(event)
            first = "the first " if isinstance(event, Token) else ""
            self._trail.note(f"event: {first}{NAMES[type(event)]}")

    def end(self) -> None:
        if self._trail is not None:
            came = f" after {self._tokens} tokens" if self._tokens else ""
            self._trail.note(f"the stream's end{came}")
