"""From IP packets to the bytes of TCP connections, in their order, whoever captured them."""

import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from harness.watching.http_exchange import Address, Conversation, Direction, Exchange

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_TCP = 6
_TURN = 1 << 32  # sequence numbers begin again after it
_REQUESTS = (b"GET ", b"POST ", b"DELETE ", b"PUT ", b"HEAD ", b"OPTIONS ")
_REPLIES = (b"HTTP/1.",)


@dataclass(frozen=True)
class Segment:
    source: Address
    target: Address
    number: int
    flags: int
    payload: bytes
    at: float

    @property
    def opens(self) -> bool:
        return self.flags & (_SYN | _ACK) == _SYN


def segment_of(packet: bytes, at: float) -> Segment | None:
    """Return the TCP segment of an IPv4 packet; None if it is something else, or cut off."""
    with contextlib.suppress(struct.error):
        (size,) = struct.unpack_from("!H", packet, 2)
        if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != _TCP:
            return None
        begin = (packet[0] & 15) * 4
        ports = struct.unpack_from("!HH", packet, begin)
        (number,) = struct.unpack_from("!I", packet, begin + 4)
        offset, flags = struct.unpack_from("!BB", packet, begin + 12)
        hosts = (socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]))
        source, target = zip(hosts, ports, strict=True)
        payload = packet[begin + (offset >> 4) * 4 : size or None]
        return Segment(source, target, number, flags, payload, at)
    return None


class Connections:
    """Every connection that passes, also those from before, from their next message on.

    `caller_of` tells the pid behind the address that opened a connection.
    """

    def __init__(
        self, report: Callable[[Exchange], None], caller_of: Callable[[Address], int | None]
    ) -> None:
        self._report = report
        self._caller_of = caller_of
        self._known: dict[tuple[Address, Address], _Stream] = {}

    def take(self, segment: Segment) -> None:
        there = segment.source, segment.target
        if segment.opens or (there not in self._known and segment.payload.startswith(_REQUESTS)):
            caller = self._caller_of(segment.source)
            conversation = Conversation(segment.target, caller, self._report)
            self._known[there] = _Stream(conversation.requests, _REQUESTS)
            self._known[there[::-1]] = _Stream(conversation.replies, _REPLIES)
        stream = self._known.get(there)
        if stream is None:
            return
        if segment.flags & _RST:
            for way in (there, there[::-1]):
                self._known.pop(way).close(segment.at)
            return
        stream.take(segment)


class _Stream:
    """One direction of a connection. If its beginning was not seen, it begins with a segment that
    looks like the beginning of a message."""

    def __init__(self, reader: Direction, beginnings: tuple[bytes, ...]) -> None:
        self._reader = reader
        self._beginnings = beginnings
        self._next: int | None = None
        self._early: dict[int, Segment] = {}

    def close(self, at: float) -> None:
        self._reader.close(at)

    def take(self, segment: Segment) -> None:
        if segment.flags & _SYN:
            self._next = (segment.number + 1) % _TURN
            return
        if self._next is None:
            if not segment.payload.startswith(self._beginnings):
                return
            self._next = segment.number
        if segment.payload or segment.flags & _FIN:
            self._early[segment.number] = segment
        while (ready := self._ready(self._next)) is not None:
            piece = ready.payload[(self._next - ready.number) % _TURN :]
            self._next = (self._next + len(piece)) % _TURN
            if piece:
                self._reader.feed(piece, ready.at)
            if ready.flags & _FIN:
                self._reader.close(ready.at)

    def _ready(self, wanted: int) -> Segment | None:
        """Take out a segment that begins with the wanted byte, or before it."""
        for number in self._early:
            if (wanted - number) % _TURN < _TURN // 2:
                return self._early.pop(number)
        return None
