"""Segments come twice, late, early and in the middle of a connection."""

import itertools
import random
import socket
import struct

from harness.watching.http_exchange import Exchange
from harness.watching.packets import Connections, Segment, segment_of

CLIENT, SERVER = ("127.0.0.1", 40_000), ("127.7.7.2", 9200)
REQUEST = b"GET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n"
REPLY = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"status":"alive"}'
FIN, SYN, RST, ACK = 1, 2, 4, 16


def segments(text: bytes, source: tuple[str, int], first: int) -> list[Segment]:
    """In pieces of ten bytes."""
    target = SERVER if source == CLIENT else CLIENT
    return [
        Segment(source, target, (first + at) % (1 << 32), ACK, text[at : at + 10], float(at))
        for at in range(0, len(text), 10)
    ]


def listen(*passing: Segment) -> list[Exchange]:
    found: list[Exchange] = []
    connections = Connections(found.append, lambda address: address[1])
    for segment in passing:
        connections.take(segment)
    return found


def opening(first: int) -> list[Segment]:
    return [
        Segment(CLIENT, SERVER, first, SYN, b"", 0),
        Segment(SERVER, CLIENT, first, SYN | ACK, b"", 0),
    ]


def test_segments_in_any_order_and_more_than_once() -> None:
    """Also across the end of the sequence numbers."""
    first = (1 << 32) - 15
    for seed in range(30):
        mix = random.Random(seed)
        asked = segments(REQUEST, CLIENT, first + 1)
        answered = segments(REPLY, SERVER, first + 1)
        mix.shuffle(asked)
        twice = answered + mix.sample(answered, 3)
        mix.shuffle(twice)
        (seen,) = listen(*opening(first), *asked, *twice)
        assert (seen.path, seen.caller, seen.reply) == ("/v1/health", 40_000, b'{"status":"alive"}')


def test_segments_that_overlap() -> None:
    whole = Segment(CLIENT, SERVER, 1, ACK, REQUEST, 0)
    (seen,) = listen(*opening(0), *segments(REQUEST[:20], CLIENT, 1), whole)
    assert seen.headers == {"host": "a"}


def test_a_connection_from_before_counts_from_its_next_request_on() -> None:
    tail = Segment(SERVER, CLIENT, 500, ACK, b"the end of a reply", 0)
    both = [*segments(REQUEST, CLIENT, 900), *segments(REPLY, SERVER, 518)]
    (seen,) = listen(tail, *both)
    assert seen.status == 200


def test_a_port_that_is_used_again() -> None:
    one = [*opening(7), *segments(REQUEST, CLIENT, 8), *segments(REPLY, SERVER, 8)]
    end = [Segment(CLIENT, SERVER, 8 + len(REQUEST), FIN | ACK, b"", 0)]
    other = [*opening(90), *segments(REQUEST, CLIENT, 91), *segments(REPLY, SERVER, 91)]
    assert [seen.status for seen in listen(*one, *end, *other)] == [200, 200]


def test_a_reset_ends_a_reply_that_was_to_end_by_closing() -> None:
    head = segments(b"HTTP/1.1 200 OK\r\n\r\nabc", SERVER, 1)
    reset = Segment(CLIENT, SERVER, 1 + len(REQUEST), RST, b"", 99)
    (seen,) = listen(*opening(0), *segments(REQUEST, CLIENT, 1), *head, reset)
    assert seen.reply == b"abc"


def test_an_ip_packet() -> None:
    payload = b"hello"
    tcp = struct.pack("!HHIIBBHHHL", 40_000, 9200, 77, 0, 6 << 4, ACK, 0, 0, 0, 0) + payload
    addresses = socket.inet_aton("127.0.0.1") + socket.inet_aton("127.7.7.2")
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0)
    packet = head + addresses + tcp
    assert segment_of(packet, 3.0) == Segment(CLIENT, SERVER, 77, ACK, payload, 3.0)
    padded = segment_of(packet + b"\0\0\0", 3.0)
    assert padded and padded.payload == payload


def test_what_is_no_tcp_or_cut_off_is_no_segment() -> None:
    for length in itertools.chain(range(1, 20), [30]):
        assert segment_of(b"\x45\0\0\0\0\0\0\0\0\x06"[:length].ljust(length, b"\0"), 0.0) is None
