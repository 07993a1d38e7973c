"""HTTP/1.1 as a listener reads it: the exchanges of one connection, with their times.

What passes need not be HTTP: a connection that speaks something else is left alone.
"""

import contextlib
import json
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from harness.world.http_client import END, Event

Address: TypeAlias = tuple[str, int]
Headers: TypeAlias = dict[str, str]

_MOST = 1 << 20  # bytes of a body that are kept
_LONGEST_HEAD = 1 << 16
_NO_BODY = (204, 304)


@dataclass(repr=False)
class Exchange:
    """A request and its reply. Names of headers are in lower case; `path` is without the query.

    `at` is when the request's head passed, `answered_at` when the reply's did, and `ended_at` when
    the reply was complete: None until then, or if the connection broke before. `status` is 0 until
    there is a reply. `caller` is the pid of the program that asked; None if its connection was
    gone before it could be looked up. `comments` are the moments of comment lines in a stream.
    """

    at: float
    to: Address
    caller: int | None
    method: str
    path: str
    query: str
    headers: Headers
    body: bytes = b""
    status: int = 0
    reply_headers: Headers = field(default_factory=dict)
    reply: bytes = b""
    events: list[Event] = field(default_factory=list)
    comments: list[float] = field(default_factory=list)
    answered_at: float | None = None
    ended_at: float | None = None

    def __repr__(self) -> str:
        """One line, for the message of an assertion."""
        host, port = self.to
        asked = f"{self.method} {self.path} to {host}:{port} by pid {self.caller}"
        kept = self.reply[:200] if not self.events else f"{len(self.events)} events"
        return f"<{self.at:.3f} {asked}, {self.body[:200]!r}: {self.status} {kept!r}>"

    @property
    def json(self) -> Any:
        """The request's body."""
        return json.loads(self.body)

    @property
    def reply_json(self) -> Any:
        return json.loads(self.reply)

    def named(self, name: str) -> list[Event]:
        return [event for event in list(self.events) if event.name == name]

    def add_to_body(self, piece: bytes, at: float) -> None:
        self.body += piece[: _MOST - len(self.body)]

    def add_to_reply(self, piece: bytes, at: float) -> None:
        self.reply += piece[: _MOST - len(self.reply)]


class Conversation:
    """A connection. `report` gets each exchange as soon as its request's head has passed."""

    def __init__(self, server: Address, caller: int | None, report: Callable[[Exchange], None]):
        self._server = server
        self._caller = caller
        self._report = report
        self._unanswered: deque[Exchange] = deque()
        self.requests = Direction(self._read_requests)
        self.replies = Direction(self._read_replies)

    def _read_requests(self, passing: "Direction") -> Iterator[None]:
        while True:
            first, headers = yield from passing.head()
            method, target, version = first.split(" ")
            if not version.startswith("HTTP/1."):
                raise ValueError(first)
            path, _, query = target.partition("?")
            exchange = Exchange(
                passing.at, self._server, self._caller, method, path, query, headers
            )
            self._unanswered.append(exchange)
            self._report(exchange)
            yield from passing.body(headers, exchange.add_to_body, ends_by_closing=False)

    def _read_replies(self, passing: "Direction") -> Iterator[None]:
        while True:
            first, headers = yield from passing.head()
            version, status, *_ = first.split(" ")
            if not version.startswith("HTTP/1."):
                raise ValueError(first)
            if int(status) < 200:
                continue
            exchange = self._next_unanswered()
            exchange.reply_headers, exchange.answered_at = headers, passing.at
            exchange.status = int(status)
            if exchange.method != "HEAD" and exchange.status not in _NO_BODY:
                take = exchange.add_to_reply
                if headers.get("content-type", "").startswith("text/event-stream"):
                    take = _Events(exchange).add
                yield from passing.body(headers, take, ends_by_closing=True)
            exchange.ended_at = passing.at

    def _next_unanswered(self) -> Exchange:
        """The first reply may be that of a request from before anybody listened."""
        if self._unanswered:
            return self._unanswered.popleft()
        return Exchange(0.0, self._server, self._caller, "", "", "", {})


class _ClosedError(Exception):
    """The connection ended in the middle of a message."""


class Direction:
    """The bytes of one direction. `at` is the moment of the last piece. The reader is a generator
    that yields when it needs more."""

    def __init__(self, read: Callable[["Direction"], Iterator[None]]) -> None:
        self.at = 0.0
        self._buffer = b""
        self._closed = False
        self._reading = read(self)
        self._go_on()

    def feed(self, piece: bytes, at: float) -> None:
        self._buffer += piece
        self.at = at
        self._go_on()

    def close(self, at: float) -> None:
        self._closed = True
        self._go_on()

    def _go_on(self) -> None:
        """What is not HTTP ends the reader, and with it every interest in this direction."""
        with contextlib.suppress(_ClosedError, ValueError, StopIteration):
            next(self._reading)
            return
        self._buffer = b""

    def _more(self) -> Iterator[None]:
        if self._closed:
            raise _ClosedError
        yield

    def line(self) -> Generator[None, None, str]:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_HEAD:
                raise ValueError("not a line")
            yield from self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode("latin-1")

    def head(self) -> Generator[None, None, tuple[str, Headers]]:
        first = yield from self.line()
        headers: Headers = {}
        while line := (yield from self.line()):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return first, headers

    def body(
        self, headers: Headers, take: Callable[[bytes, float], None], ends_by_closing: bool
    ) -> Iterator[None]:
        if "chunked" in headers.get("transfer-encoding", ""):
            while size := int((yield from self.line()).partition(";")[0], 16):
                yield from self._exactly(size, take)
                yield from self.line()
            while (yield from self.line()):
                pass  # a trailer
        elif "content-length" in headers:
            yield from self._exactly(int(headers["content-length"]), take)
        elif ends_by_closing:
            yield from self._all(take)

    def _exactly(self, size: int, take: Callable[[bytes, float], None]) -> Iterator[None]:
        while size:
            while not self._buffer:
                yield from self._more()
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(piece)
            take(piece, self.at)

    def _all(self, take: Callable[[bytes, float], None]) -> Iterator[None]:
        while not self._closed or self._buffer:
            piece, self._buffer = self._buffer, b""
            take(piece, self.at)
            if not self._closed:
                yield


class _Events:
    """Takes an event stream apart, as the standard has it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._rest = b""
        self._name = "message"
        self._data: list[str] = []

    def add(self, piece: bytes, at: float) -> None:
        self._exchange.add_to_reply(piece, at)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._line(line.decode(errors="replace").rstrip("\r"), at)

    def _line(self, line: str, at: float) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line.startswith(":"):
            self._exchange.comments.append(at)
        elif name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif not line:
            if self._data:
                self._exchange.events.append(_event(self._name, "\n".join(self._data), at))
            self._name, self._data = "message", []


def _event(name: str, data: str, at: float) -> Event:
    if data == END:
        return Event(END, None, at)
    with contextlib.suppress(ValueError):
        return Event(name, json.loads(data), at)
    return Event(name, data, at)
