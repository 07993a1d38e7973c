"""Connections that wait too long, that are too many, and that don't speak HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from rbee.contract.daemons import Ack
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.events import Event, Token
from rbee.runtime import server
from rbee.runtime.connections import Connections, SameTroubleOnce, most_connections
from rbee.runtime.lifecycle import Lifecycle

Open = Callable[..., Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
OPEN = Endpoint("GET", "/health", Nothing, Ack, open=True)
TALK = Endpoint("GET", "/talk", Nothing, Nothing, (Token,), open=True)
SLOW = Endpoint("GET", "/slow", Nothing, Ack, open=True)
LARGE = Endpoint("GET", "/large", Nothing, Ack, open=True)
MUCH = 16 << 20  # more than the kernel keeps for a reader
ASK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def stall_s() -> float:
    """How long a client may take nothing of a reply."""
    return 60.0


@pytest.fixture
def head_s() -> float:
    """How long a client may take for the head of a request."""
    return 0.3


@pytest.fixture
def ended_talks() -> asyncio.Queue[None]:
    """Has one more for each stream that has let go of what it held."""
    return asyncio.Queue()


@pytest.fixture
async def connect(
    stall_s: float, head_s: float, ended_talks: asyncio.Queue[None]
) -> AsyncIterator[Open]:
    """Open a connection to a daemon that has at most three."""

    async def well(_: web.Request, __: Nothing) -> Ack:
        return Ack("well")

    async def slow(_: web.Request, __: Nothing) -> Ack:
        await asyncio.sleep(3)
        return Ack("well")

    async def large(_: web.Request, __: Nothing) -> Ack:
        return Ack("x" * MUCH)

    async def talk(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        try:
            while True:
                yield Token("x" * 10_000, 0)
        finally:
            ended_talks.put_nowait(None)

    app = server.application(Lifecycle("queen-rbee", None, "secret-key"), keep_alive_s=0.05)
    server.answer(app, OPEN, well)
    server.stream(app, TALK, talk)
    server.answer(app, LARGE, large)
    server.answer(app, SLOW, slow)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    assert runner.server is not None
    loop = asyncio.get_running_loop()
    connections = Connections(runner.server, most=3, stall_s=stall_s, head_s=head_s)
    listening = await loop.create_server(connections, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    writers = []

    async def connected(sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        sock.setblocking(False)
        await loop.sock_connect(sock, (host, port))
        reader, writer = await asyncio.open_connection(sock=sock)
        writers.append(writer)
        writer.write(sent)
        return reader, writer

    yield connected
    for writer in writers:
        writer.close()
    listening.close()
    await runner.cleanup()


async def ended(reader: asyncio.StreamReader, within: float = 10) -> bytes:
    """What comes until the connection ends."""
    async with asyncio.timeout(within):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", ASK[:-2], b"\r\n"])
async def test_a_connection_that_sends_no_whole_request_is_closed(
    connect: Open, sent: bytes
) -> None:
    reader, _ = await connect(sent)
    assert await ended(reader) == b""


async def test_a_request_may_take_longer_than_its_head(connect: Open) -> None:
    reader, _ = await connect(
        SLOW.path.join(["GET ", " HTTP/1.1\r\nHost: localhost\r\n\r\n"]).encode()
    )
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_the_connection_that_was_idle_for_longest_makes_room(connect: Open) -> None:
    kept = []
    for _ in range(3):
        reader, writer = await connect(ASK)
        await reader.readuntil(b'"well"}')
        kept.append((reader, writer))
    reader, _ = await connect(ASK)
    assert await reader.readuntil(b'"well"}')
    assert await ended(kept[0][0]) == b""
    kept[1][1].write(ASK)
    assert await kept[1][0].readuntil(b'"well"}')


@pytest.mark.parametrize("head_s", [60])
async def test_what_is_being_answered_is_not_cut_for_a_newcomer(connect: Open) -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
    running = [await connect(slow) for _ in range(3)]
    await asyncio.sleep(0.1)
    reader, _ = await connect()
    assert await ended(reader, 2) == b""
    for each, _ in running:
        assert await each.readuntil(b'"well"}')


@pytest.mark.parametrize("head_s", [60])
async def test_a_reply_that_is_being_sent_is_not_cut_for_a_newcomer(connect: Open) -> None:
    reading = [await connect(ASK.replace(b"/health", b"/large")) for _ in range(3)]
    for reader, _ in reading:
        await reader.readuntil(b"xxx")
    newcomer, _ = await connect()
    assert await ended(newcomer) == b""
    for reader, _ in reading:
        rest = 0
        async with asyncio.timeout(10):
            while not (piece := await reader.read(1 << 20)).endswith(b'"}'):
                assert piece, "the reply was cut"
                rest += len(piece)
        assert rest > MUCH - (2 << 20)
    # It has been sent: now it makes room.
    newcomer, _ = await connect(ASK)
    assert await newcomer.readuntil(b'"well"}')
    assert await ended(reading[0][0]) == b""


@pytest.mark.parametrize("stall_s", [0.4])
@pytest.mark.parametrize("path", [b"/talk", b"/large"])
async def test_a_client_that_takes_nothing_of_its_reply_is_given_up_and_logged_once(
    connect: Open, ended_talks: asyncio.Queue[None], path: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, _ = await connect(ASK.replace(b"/health", path))
    await reader.readuntil(b"xxx")
    begun = asyncio.get_running_loop().time()
    if path == b"/talk":
        await asyncio.wait_for(ended_talks.get(), 5)
    while not (said := [each for each in caplog.messages if "took nothing" in each]):
        assert asyncio.get_running_loop().time() - begun < 5
        await asyncio.sleep(0.02)
    assert asyncio.get_running_loop().time() - begun > 0.3
    assert said == [
        f"GET {path.decode()}: the client at 127.0.0.1 took nothing for 0.4 s: given up"
    ]
    assert not (await ended(reader)).endswith((b'"}', b"[DONE]\n\n\r\n0\r\n\r\n"))


@pytest.mark.parametrize("stall_s", [0.4])
async def test_a_client_that_takes_a_little_now_and_then_gets_all_of_its_reply(
    connect: Open,
) -> None:
    reader, _ = await connect(ASK.replace(b"/health", b"/large"))
    begun = asyncio.get_running_loop().time()
    seen = b""
    while asyncio.get_running_loop().time() - begun < 1.5:
        seen = await reader.readexactly(1 << 17)
        await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        while not seen.endswith(b'"}'):
            seen = await reader.read(1 << 20)
            assert seen, "the reply was cut"


@pytest.mark.parametrize(
    "sent",
    [
        b"FOO BAR BAZ\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\x1b[31mT / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_in_the_envelope(
    connect: Open, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reader, _ = await connect(sent)
    head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), head
    assert json.loads(body)["error"]["code"] == "INVALID_REQUEST"
    assert "Traceback" not in caplog.text
    assert "\x1b" not in caplog.text


@pytest.mark.parametrize("name", [b"\xff", b"", b"a b", b"evil.example"])
async def test_an_odd_host_is_refused_in_the_envelope(connect: Open, name: bytes) -> None:
    reader, _ = await connect(
        b"GET /health HTTP/1.1\r\nConnection: close\r\nHost: " + name + b"\r\n\r\n"
    )
    head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
    assert head[:12] in (b"HTTP/1.1 403", b"HTTP/1.1 400"), head
    assert json.loads(body)["error"]["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize("path", [b"/health", b"/nowhere"])
@pytest.mark.parametrize("value", [b"a-miracle", b"100-continued", b"\xff"])
async def test_an_unknown_expectation_is_refused_in_the_envelope(
    connect: Open, path: bytes, value: bytes
) -> None:
    reader, _ = await connect(
        b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nExpect: " + value + b"\r\n\r\n"
    )
    head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 417 "), head
    [error] = json.loads(body)["error"]["details"]["errors"]
    assert (error["field"], error["constraint"]) == ("Expect", "100-continue")


async def test_a_method_that_nobody_knows_is_refused_in_the_envelope(connect: Open) -> None:
    reader, _ = await connect(
        b"BREW /health HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\r\n"
    )
    head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 405", b"HTTP/1.0 400")), head
    assert json.loads(body)["error"]["code"] == "INVALID_REQUEST"


async def test_the_same_trouble_is_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    handler, loop = SameTroubleOnce(), asyncio.get_running_loop()
    for _ in range(100):
        handler(loop, {"message": "accept failed", "exception": OSError(24, "Too many open files")})
        handler(loop, {"message": "another", "exception": OSError(5, "Input/output error")})
    assert len(caplog.records) == 2


def test_the_limit_of_descriptors_is_raised_and_so_many_connections_allowed() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    program = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (200, {min(hard, 600)}))\n"
        "from rbee.runtime.connections import most_connections\n"
        "print(most_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.split() == [str(min(hard, 600) - 128), str(min(hard, 600))], told.stderr


async def test_a_client_that_leaves_before_it_is_told_to_go_on_is_not_an_error(
    connect: Open, caplog: pytest.LogCaptureFixture
) -> None:
    head = ASK.removesuffix(b"\r\n") + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    with caplog.at_level(logging.DEBUG):
        for _ in range(20):
            reader, writer = await connect(head)
            writer.write_eof()
            await reader.read()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    "broken", [b"Author\x87zation: Bearer %s", b"Authorization: Bearer %s\x01"]
)
async def test_a_broken_header_with_a_key_is_not_quoted(
    connect: Open, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = b"k3y-" * 10
    reader, _ = await connect(ASK.removesuffix(b"\r\n") + broken % key + b"\r\n\r\n")
    answer = await ended(reader)
    assert b"400" in answer and b"This is not HTTP/1.1: Invalid header" in answer
    assert key not in answer
    assert key.decode() not in caplog.text


def test_over_tls_a_daemon_has_fewer_places_because_each_takes_more_memory() -> None:
    plain, encrypted = most_connections(), most_connections(tls=True)
    assert encrypted == min(plain, 512)
