"""HTTP calls and event streams, with nothing between the test and the wire.

Each event of a stream is stamped with the moment of its arrival.
"""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.world.waiting import wait_until


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(
    method: str,
    url: str,
    body: object = None,
    key: str | None = None,
    timeout: float = 10,
) -> Reply:
    connection, response, _ = open_call(method, url, body, key, timeout)
    try:
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


def open_call(
    method: str, url: str, body: object, key: str | None, timeout: float, accept: str = "*/*"
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse, socket.socket]:
    """Send the request and stop after the reply's headers: a stream may follow.

    The socket is for breaking off: http.client forgets it if the server closes at the end.
    """
    parts = urlsplit(url)
    assert parts.hostname, url
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"Accept": accept}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    content = None
    if body is not None:
        content = json.dumps(body)
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    connection.request(method, path, content, headers)
    opened: socket.socket = connection.sock
    return connection, connection.getresponse(), opened


class KeptConnection:
    """A connection that stays open when new ones are no longer accepted.

    It has made one request, so that the far side has accepted it.
    """

    def __init__(self, url: str, first: str, key: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname, url
        self._key = key
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        assert self.ask("GET", first).status == 200

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, headers)
        response = self._connection.getresponse()
        return Reply(response.status, response.headers, response.read())

    def close(self) -> None:
        self._connection.close()


END = "[DONE]"
_SILENCE_S = 60
_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Event:
    """`name` is "message" for an event without one, and `[DONE]` for the stream's end."""

    name: str
    data: Any
    at: float


class EventStream:
    """`refused` is the whole reply if the server answered with something other than a stream.
    `comments` are the moments of the lines that only keep the stream alive; `opened_at` is when the
    headers came, `opened_after` how many seconds that took. Where there is a single
    reply too, `accept` chooses."""

    def __init__(
        self,
        method: str,
        url: str,
        body: object = None,
        key: str | None = None,
        accept: str = _STREAM,
    ) -> None:
        self.events: list[Event] = []
        self.comments: list[float] = []
        self.refused: Reply | None = None
        self._closing = False
        asked_at = time.monotonic()
        opened = open_call(method, url, body, key, _SILENCE_S, accept)
        self.opened_at = time.monotonic()
        self.opened_after = self.opened_at - asked_at
        self._connection, self._response, self._socket = opened
        if self._response.headers.get_content_type() != _STREAM:
            self.refused = Reply(
                self._response.status, self._response.headers, self._response.read()
            )
            self._connection.close()
            return
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for name, data in parse(self._lines()):
                at = time.monotonic()
                self.events.append(Event(END if data == END else name, _decoded(data), at))
        except (OSError, http.client.HTTPException):
            return
        except (AttributeError, ValueError):
            # http.client raises these if it is closed while it reads; otherwise the stream is bad.
            if not self._closing:
                raise

    def _lines(self) -> Iterator[bytes]:
        for line in self._response:
            if line.startswith(b":"):
                self.comments.append(time.monotonic())
            yield line

    @property
    def reading(self) -> bool:
        return self.refused is None and self._thread.is_alive()

    def named(self, name: str) -> list[Event]:
        return [event for event in list(self.events) if event.name == name]

    def wait_for(
        self, name: str, within: float, good: Callable[[Any], object] = lambda data: True
    ) -> Event:
        def found() -> list[Event]:
            return [event for event in self.named(name) if good(event.data)]

        def look() -> tuple[bool, list[Event]]:
            return bool(found()), list(self.events)[-3:]

        wait_until(f"the event {name!r}", look, within, lambda seen: seen[0])
        return found()[0]

    def wait_for_end(self, within: float) -> None:
        """Wait until it is whole: whatever it says, its last event is `[DONE]`."""
        self.wait_for_close(within)
        assert [event.name for event in self.events[-1:]] == [END], self.events[-3:]

    def wait_for_close(self, within: float) -> None:
        """Wait until it ends, or breaks off."""
        wait_until(
            "the stream to end",
            lambda: (self.reading, list(self.events)[-3:]),
            within,
            lambda seen: not seen[0],
        )

    def close(self) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def parse(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[tuple[str, str]]:
    """Yield name and data of each event, as the standard has it; comments are skipped."""
    name, data = "message", []
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line:
            if data:
                yield name, "\n".join(data)
            name, data = "message", []


def _decoded(data: str) -> Any:
    return None if data == END else json.loads(data)
