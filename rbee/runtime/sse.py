"""Server-sent events as text, encoded and parsed.

Follows the HTML standard's event stream format: fields `event`, `data` and `id`, lines that begin
with a colon are comments, an empty line ends an event, and lines end with LF, CR or CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import msgspec

from rbee.contract.events import DONE, NAMES, TYPES, Event

CONTENT_TYPE = "text/event-stream"
KEEP_ALIVE = b": keep-alive\n\n"
LAST = f"data: {DONE}\n\n".encode()
# With which a client asks for what came after the last event that it got.
LAST_EVENT_HEADER = "Last-Event-ID"
_LONGEST_EVENT = 16 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")


class Raw(msgspec.Struct, frozen=True):
    """One event as it stands in the stream; `event` is "" if none is named. `id` is that of the
    last event that had one, "" if none had."""

    event: str
    data: str
    id: str = ""


class Numbered(msgspec.Struct, frozen=True):
    """An event with its `id:` line."""

    id: str
    event: Event


class LastEvent(msgspec.Struct):
    """The last event that a reader got from a stream, by its `id`; "" if it had none."""

    id: str = ""

    def move(self, raw: Raw) -> None:
        """Another event has come."""
        self.id = raw.id


class Parser:
    """Bytes in, events out, however the bytes are split into chunks."""

    def __init__(self) -> None:
        self._buffer = b""
        self._event = ""
        self._id = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Raw]:
        """The events that `chunk` completes. Raises ValueError for one larger than 16 MiB."""
        text = self._buffer + chunk
        lines = _LINE_END.split(text) if b"\r" in text else text.split(b"\n")
        # A carriage return at the very end may be half of a line's end.
        self._buffer = lines.pop()
        for line in lines:
            if line:
                self._field(line)
                continue
            if self._data:
                yield Raw(self._event, b"\n".join(self._data).decode(errors="replace"), self._id)
            self._reset()
        if len(self._buffer) + self._size > _LONGEST_EVENT:
            raise ValueError("an event is larger than 16 MiB")

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")

    def _reset(self) -> None:
        self._event, self._data, self._size = "", [], 0


def encode(event: Event | Numbered) -> bytes:
    """The event as it stands in a stream."""
    if isinstance(event, Numbered):
        return b"id: %s\n%s" % (event.id.encode(), encode(event.event))
    return b"event: %s\ndata: %s\n\n" % (NAMES[type(event)].encode(), msgspec.json.encode(event))


def decode(raw: Raw) -> Event | None:
    """The event that `raw` stands for; None for a kind unknown to this version.

    Raises msgspec.MsgspecError if the data does not fit the kind.
    """
    kind = TYPES.get(raw.event)
    return _decoder(kind).decode(raw.data) if kind else None


@cache
def _decoder(kind: type[Event]) -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(kind)
