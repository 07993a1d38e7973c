"""Server-sent events as text: written and read. The reading and writing of streams is elsewhere.

Follows the HTML standard's event stream format: fields `event` and `data`, lines that begin with a
colon are comments, an empty line ends an event, and lines end with LF, CR or CRLF.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from rbee.contract.events import DONE, NAMES, TYPES, Event

KEEP_ALIVE = b": keep-alive\n\n"
LAST = f"data: {DONE}\n\n".encode()
_LONGEST_EVENT = 16 << 20


class Raw(msgspec.Struct, frozen=True):
    """One event as it stands in the stream; `event` is "" where none is named."""

    event: str
    data: str


class Parser:
    """Bytes in, events out, however the bytes were cut up."""

    def __init__(self) -> None:
        self._buffer = b""
        self._event = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Raw]:
        """The events that `chunk` completes. Raises ValueError for one larger than 16 MiB."""
        self._buffer += chunk
        while (line := self._line()) is not None:
            if line:
                self._field(line.decode(errors="replace"))
            elif self._data:
                yield Raw(self._event, "\n".join(self._data))
                self._reset()
            else:
                self._reset()
        if len(self._buffer) + self._size > _LONGEST_EVENT:
            raise ValueError("an event is larger than 16 MiB")

    def _line(self) -> bytes | None:
        """The next whole line without its end; a CR at the very end may be half a CRLF."""
        newline = self._buffer.find(b"\n")
        carriage = self._buffer.find(b"\r", 0, newline if newline >= 0 else None)
        if carriage >= 0 and carriage + 1 < len(self._buffer):
            end = carriage + (2 if self._buffer[carriage + 1 : carriage + 2] == b"\n" else 1)
            line = self._buffer[:carriage]
        elif carriage < 0 <= newline:
            line, end = self._buffer[:newline], newline + 1
        else:
            return None
        self._buffer = self._buffer[end:]
        return line

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value)
        elif name == "event":
            self._event = value

    def _reset(self) -> None:
        self._event, self._data, self._size = "", [], 0


def encode(event: Event) -> bytes:
    """The event as it stands in a stream."""
    return b"event: %s\ndata: %s\n\n" % (
        NAMES[type(event)].encode(),
        msgspec.json.encode(event),
    )


def decode(raw: Raw) -> Event | None:
    """The event that `raw` stands for; None for a kind that this version does not know.

    Raises msgspec.MsgspecError where the data do not fit the kind.
    """
    kind = TYPES.get(raw.event)
    return msgspec.json.decode(raw.data, type=kind) if kind else None
