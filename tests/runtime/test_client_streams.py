"""The client as a reader: an answer ends with its end mark, or it is truncated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from aiohttp import web

from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import (
    AllSlotsBusy,
    ConnectionRefused,
    Internal,
    StreamSilent,
    StreamTruncated,
    WorkerCrashed,
)
from rbee.contract.events import Accepted, Event, Token
from rbee.runtime import bind, sse
from rbee.runtime.client import Client

Connect = Callable[..., Client]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[[Handler], Awaitable[str]]

TALK = Endpoint("GET", "/talk", Nothing, Nothing, (Token,))
TOKEN = sse.encode(Token("a", 0))


def streaming(*chunks: bytes, hang: bool = False, drop: bool = False) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if hang:
            await asyncio.Event().wait()
        if drop:
            assert request.transport is not None
            request.transport.abort()
        return response

    return handler


async def heard(client: Client) -> list[Event]:
    async with asyncio.timeout(10), client.stream(TALK) as events:
        return [event async for event in events]


async def test_a_stream_ends_with_its_end_mark(start: Start, connect: Connect) -> None:
    url = await start(streaming(sse.KEEP_ALIVE, TOKEN, sse.LAST, hang=True))
    assert await heard(connect(url)) == [Token("a", 0)]


async def test_an_event_of_a_later_version_is_passed_over(start: Start, connect: Connect) -> None:
    url = await start(streaming(b"event: later\ndata: {}\n\n", TOKEN, sse.LAST))
    assert await heard(connect(url)) == [Token("a", 0)]


async def test_a_stream_that_ends_without_its_end_mark_is_truncated(
    start: Start, connect: Connect
) -> None:
    client = connect(await start(streaming(TOKEN)))
    came: list[Event] = []
    with pytest.raises(StreamTruncated):
        async with client.stream(TALK) as events:
            async for event in events:
                came.append(event)
    assert came == [Token("a", 0)]


async def test_an_end_mark_that_is_cut_in_two_is_no_end_mark(
    start: Start, connect: Connect
) -> None:
    with pytest.raises(StreamTruncated):
        await heard(connect(await start(streaming(TOKEN, sse.LAST[:-1]))))


async def test_a_stream_whose_connection_is_lost_is_truncated(
    start: Start, connect: Connect
) -> None:
    with pytest.raises(StreamTruncated):
        await heard(connect(await start(streaming(TOKEN, drop=True))))


async def test_a_stream_that_falls_silent_is_truncated(start: Start, connect: Connect) -> None:
    client = connect(await start(streaming(TOKEN, hang=True)), silence_s=0.1)
    with pytest.raises(StreamSilent, match=r"0\.1 s"):
        await heard(client)


async def test_a_keep_alive_breaks_the_silence(start: Start, connect: Connect) -> None:
    silence_s = 1.0

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(8):
            await asyncio.sleep(silence_s / 5)
            await response.write(sse.KEEP_ALIVE)
        await response.write(sse.LAST)
        return response

    assert await heard(connect(await start(handler), silence_s=silence_s)) == []


@pytest.fixture
async def endless(start: Start) -> tuple[str, asyncio.Event]:
    """The URL of a stream that does not end, and whether its reader has gone."""
    gone = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(TOKEN)
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        return response

    return await start(handler), gone


async def test_leaving_a_stream_closes_the_connection(
    endless: tuple[str, asyncio.Event], connect: Connect
) -> None:
    url, gone = endless
    async with connect(url).stream(TALK) as events:
        assert await anext(events) == Token("a", 0)
    async with asyncio.timeout(10):
        await gone.wait()


async def test_canceling_a_reader_closes_the_connection(
    endless: tuple[str, asyncio.Event], connect: Connect
) -> None:
    url, gone = endless
    reading = asyncio.create_task(heard(connect(url, silence_s=60)))
    await asyncio.sleep(0.2)
    reading.cancel()
    async with asyncio.timeout(10):
        await gone.wait()
    assert reading.cancelled()


async def test_a_slow_reader_holds_up_the_program_that_sends(
    start: Start, connect: Connect
) -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for sent in range(4000):  # noqa: B007  how far it has come
            await response.write(b": %s\n\n" % (b"x" * 10_000))
        return response

    async with connect(await start(handler)).stream(TALK):
        before = -1
        while before < sent < 3999:
            before = sent
            await asyncio.sleep(0.5)
        assert before == sent < 3999


async def test_events_that_can_not_be_read_are_internal(start: Start, connect: Connect) -> None:
    url = await start(streaming(b"event: token\ndata: {}\n\n", sse.LAST))
    with pytest.raises(Internal):
        await heard(connect(url))


async def test_a_stream_that_was_closed_meanwhile_is_truncated(
    start: Start, connect: Connect
) -> None:
    client = connect(await start(streaming(sse.encode(Accepted("r")), hang=True)))
    with pytest.raises(StreamTruncated):
        async with asyncio.timeout(10), client.stream(TALK) as events:
            assert await anext(events) == Accepted("r")
            await client.close()
            await anext(events)


async def test_an_error_in_place_of_the_stream_is_raised(start: Start, connect: Connect) -> None:
    busy = AllSlotsBusy(slots_total=4, slots_busy=4, waiting=0)

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=msgspec.json.encode(busy.envelope()), status=503)

    with pytest.raises(AllSlotsBusy) as caught:
        await heard(connect(await start(handler)))
    assert caught.value.details == busy.details


async def test_an_error_event_is_raised(start: Start, connect: Connect) -> None:
    details = {"worker_id": "w", "node": "n", "tokens": 1, "max_tokens": 2, "log_tail": []}
    crashed = WorkerCrashed("It went", **details)
    client = connect(await start(streaming(TOKEN, sse.encode(crashed.envelope()), sse.LAST)))
    with pytest.raises(WorkerCrashed, match="It went") as caught:
        async with client.stream(TALK) as events:
            assert await anext(events) == Token("a", 0)
            await anext(events)
    assert caught.value.details == details


async def test_where_nothing_listens_there_is_no_stream(connect: Connect) -> None:
    with bind.listening_socket("127.0.0.1", 0) as sock:
        url = bind.url("127.0.0.1", sock.getsockname()[1])
    with pytest.raises(ConnectionRefused) as caught:
        await heard(connect(url))
    assert caught.value.code == "CONNECTION_REFUSED"
    assert "Start the program there" in caught.value.advice
