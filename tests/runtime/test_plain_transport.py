"""The bytes of an HTTP response, as servers of all kinds may send them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from rbee.runtime.aiohttp_transport import AiohttpTransport
from rbee.runtime.plain_transport import PlainTransport
from rbee.runtime.transport import NotHttp, Request

Send = Callable[..., Awaitable[str]]

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def sending() -> AsyncIterator[Send]:
    """A server that answers whatever it is asked with these bytes, one by one, and closes."""
    servers: list[asyncio.Server] = []

    async def start(*pieces: bytes) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.002)
            writer.close()

        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0))
        host, port = servers[-1].sockets[0].getsockname()
        return f"http://{host}:{port}"

    yield start
    for server in servers:
        server.close()


async def body(url: str) -> bytes:
    async with (
        asyncio.timeout(10),
        PlainTransport().exchange(Request("GET", f"{url}/x", {}, b""), 5) as response,
    ):
        pieces = []
        while piece := await response.read():
            pieces.append(piece)
        assert await response.read() == b""
        return b"".join(pieces)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello worldTHE NEXT",
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nhello world",
        b"HTTP/1.0 200\r\n\r\nhello world",
        b"HTTP/1.1 200 OK\nContent-Length: 11\n\nhello world",
        b"HTTP/1.1 100 Continue\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length:11\r\n\r\nhello world",
        CHUNKED + b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\nTHE NEXT",
        CHUNKED + b"00B; name=value\r\nhello world\r\n0\r\nChecksum: 1\r\n\r\n",
        CHUNKED.lower().replace(b"http", b"HTTP") + b"b\r\nhello world\r\n000\r\n\r\n",
    ],
)
async def test_a_body_is_the_same_however_it_is_sent(sending: Send, answer: bytes) -> None:
    assert await body(await sending(answer)) == b"hello world"
    assert await body(await sending(*[answer[at : at + 1] for at in range(len(answer))])) == (
        b"hello world"
    )


async def test_line_ends_within_a_chunk_belong_to_it(sending: Send) -> None:
    url = await sending(CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n")
    assert await body(url) == b"\r\n0\r\n\r\n"


async def test_a_large_body_is_whole(sending: Send) -> None:
    whole = bytes(range(256)) * 4000
    assert await body(await sending(CHUNKED, b"%x\r\n" % len(whole), whole, b"\r\n0\r\n\r\n")) == (
        whole
    )


@pytest.mark.parametrize("status", [204, 304])
async def test_some_responses_have_no_body(sending: Send, status: int) -> None:
    head = b"HTTP/1.1 %d Nothing\r\nContent-Length: 3\r\n\r\n" % status
    assert await body(await sending(head)) == b""


async def test_the_case_of_a_headers_name_does_not_matter(sending: Send) -> None:
    url = await sending(b"HTTP/1.1 200 OK\r\nx-a:  one two \r\nContent-Length: 0\r\n\r\n")
    async with PlainTransport().exchange(Request("GET", url, {}, b""), 5) as response:
        assert response.header("X-A") == "one two"
        assert response.header("X-B") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello",
        CHUNKED,
        CHUNKED + b"5",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
async def test_a_response_that_breaks_off_is_a_lost_connection(
    sending: Send, answer: bytes
) -> None:
    with pytest.raises(ConnectionError, match="the connection was lost"):
        await body(await sending(answer))


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhelloworld\r\n0\r\n\r\n",
        CHUNKED + b"\r\n",
    ],
)
async def test_what_is_not_http_is_refused(sending: Send, answer: bytes) -> None:
    with pytest.raises(NotHttp):
        await body(await sending(answer))


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "\udcff"])
async def test_what_can_not_be_a_host_is_refused(host: str) -> None:
    with pytest.raises(OSError):
        await body(f"http://{host}:1")


async def test_what_was_sent_is_not_repeated_in_an_error(sending: Send) -> None:
    """A peer that sends the key back must not bring it onto the screen."""
    url = await sending(b"HTTP/1.1 200 OK\r\nBearer SECRET\r\n\r\n")
    for transport in (PlainTransport(), AiohttpTransport()):
        request = Request("GET", f"{url}/x", {"X-Key": "SECRET"}, b"")
        with pytest.raises(NotHttp) as caught:
            async with asyncio.timeout(10), transport.exchange(request, 5):
                pass
        assert "SECRET" not in str(caught.value)
        await transport.close()
