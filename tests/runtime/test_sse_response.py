"""Streams, from the handler's side and the reader's side: both ends are ours, on a real port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import msgspec
import pytest
from aiohttp import web

from rbee.contract.daemons import Ack
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import ErrorEnvelope, ModelNotFound, RbeeError
from rbee.contract.events import Accepted, Event, Token
from rbee.runtime import server, sse
from rbee.runtime.client import Client
from rbee.runtime.lifecycle import Lifecycle

Serve = Callable[[web.Application], Awaitable[str]]
Connect = Callable[..., Client]
Handler = Callable[[web.Request, Nothing], AsyncIterator[Event | None]]
Stream = Callable[[Handler], Awaitable[str]]

TALK = Endpoint("GET", "/talk", Nothing, Nothing, (Accepted, Token, ErrorEnvelope))
DONE = b"data: [DONE]\n\n"
NO_EVENTS: list[Event] = []


@pytest.fixture
async def lifecycle() -> Lifecycle:
    return Lifecycle("queen-rbee", None, None)


@pytest.fixture
def stream(lifecycle: Lifecycle, serve: Serve) -> Stream:
    """Serve a handler's stream; gives the program's URL."""

    async def start(handler: Handler) -> str:
        app = server.application(lifecycle)
        server.stream(app, TALK, handler)
        return await serve(app)

    return start


async def read(url: str) -> tuple[int, bytes]:
    """Status and whole body of the stream."""
    async with (
        asyncio.timeout(10),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/talk") as response,
    ):
        return response.status, await response.read()


@pytest.mark.behaviour("B2.4")
async def test_events_come_in_order_and_are_closed_by_the_end_mark(stream: Stream) -> None:
    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield Accepted("r-1")
        yield Token("a", 0)

    status, body = await read(await stream(handler))
    assert status == 200
    assert body == sse.encode(Accepted("r-1")) + sse.encode(Token("a", 0)) + DONE


async def test_a_stream_is_told_as_one_and_kept_nowhere(stream: Stream) -> None:
    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield None

    url = await stream(handler)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/talk") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Correlation-ID"]
        assert await response.read() == DONE


async def test_an_error_before_the_first_event_is_a_status(stream: Stream) -> None:
    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        for event in NO_EVENTS:
            yield event
        raise ModelNotFound(model="m", near=[])

    status, body = await read(await stream(handler))
    assert status == 404
    assert msgspec.json.decode(body)["error"]["code"] == "MODEL_NOT_FOUND"


async def test_an_unknown_error_before_the_first_event_is_500(stream: Stream) -> None:
    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        for event in NO_EVENTS:
            yield event
        raise RuntimeError("inside")

    status, body = await read(await stream(handler))
    assert status == 500
    assert msgspec.json.decode(body)["error"]["code"] == "INTERNAL"
    assert b"inside" not in body.replace(b"An error occurred inside rbee", b"")


@pytest.mark.parametrize("first", [Accepted("r-1"), None], ids=["an event", "nothing yet"])
async def test_an_error_after_the_stream_has_begun_is_an_event_and_then_the_end_mark(
    stream: Stream, first: Event | None
) -> None:
    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield first
        raise ModelNotFound(model="m", near=[])

    status, body = await read(await stream(handler))
    assert status == 200
    begun = sse.encode(first) if first else b""
    error = ModelNotFound(model="m", near=[]).envelope()
    assert body == begun + sse.encode(error) + DONE


async def test_an_unknown_error_within_the_stream_is_an_internal_event(stream: Stream) -> None:
    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield Accepted("r-1")
        raise RuntimeError("a secret")

    _, body = await read(await stream(handler))
    assert b"INTERNAL" in body
    assert b"a secret" not in body
    assert body.endswith(DONE)


async def test_nothing_follows_an_error_but_the_end_mark(stream: Stream) -> None:
    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield ModelNotFound(model="m", near=[]).envelope()
        yield Token("more", 0)

    _, body = await read(await stream(handler))
    assert body == sse.encode(ModelNotFound(model="m", near=[]).envelope()) + DONE


async def test_a_stream_that_is_silent_is_kept_alive(lifecycle: Lifecycle, serve: Serve) -> None:
    go_on = asyncio.Event()

    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield Accepted("r-1")
        await go_on.wait()
        yield Token("a", 0)

    app = server.application(lifecycle, keep_alive_s=0.02)
    server.stream(app, TALK, handler)
    url = await serve(app)
    async with (
        asyncio.timeout(10),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/talk") as response,
    ):
        seen = b""
        while seen.count(sse.KEEP_ALIVE) < 2:
            seen += await response.content.readany()
        go_on.set()
        seen += await response.read()
    assert seen.replace(sse.KEEP_ALIVE, b"") == (
        sse.encode(Accepted("r-1")) + sse.encode(Token("a", 0)) + DONE
    )


async def test_a_comment_breaks_only_a_silence(lifecycle: Lifecycle, serve: Serve) -> None:
    """However long a stream goes on, what it says keeps it alive."""

    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        for number in range(30):
            yield Token("a", number)
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.5)
        yield Token("b", 30)

    app = server.application(lifecycle, keep_alive_s=1)
    server.stream(app, TALK, handler)
    url = await serve(app)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/talk") as response:
        seen = await response.read()
    fluent, rest = seen.split(sse.encode(Token("a", 29)))
    assert sse.KEEP_ALIVE not in fluent
    assert rest == sse.KEEP_ALIVE + sse.encode(Token("b", 30)) + DONE


async def test_a_reader_that_leaves_cancels_the_handler(stream: Stream) -> None:
    ended = asyncio.Event()

    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        try:
            yield Accepted("r-1")
            await asyncio.Event().wait()
        finally:
            ended.set()

    url = await stream(handler)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/talk") as response:
        await response.content.readany()
        assert not ended.is_set()
        response.close()
    async with asyncio.timeout(10):
        await ended.wait()


async def test_a_reader_that_leaves_while_much_is_said_ends_the_handler(stream: Stream) -> None:
    ended = asyncio.Event()

    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        try:
            while True:
                yield Token("x" * 10_000, 0)
        finally:
            ended.set()

    url = await stream(handler)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/talk") as response:
        await response.content.readany()
        response.close()
    async with asyncio.timeout(10):
        await ended.wait()


async def test_a_slow_reader_holds_the_handler_up(stream: Stream) -> None:
    made = 0

    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        nonlocal made
        while True:
            made += 1
            yield Token("x" * 100_000, 0)

    url = await stream(handler)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/talk") as response:
        before = -1
        async with asyncio.timeout(10):
            while made > before:
                before = made
                await asyncio.sleep(0.1)
        assert 0 < made < 1000
        response.close()


async def test_at_the_programs_end_open_streams_are_closed_in_order(
    lifecycle: Lifecycle, stream: Stream
) -> None:
    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield Accepted("r-1")
        lifecycle.over.set()
        await asyncio.Event().wait()

    _, body = await read(await stream(handler))
    assert body == sse.encode(Accepted("r-1")) + DONE


async def test_what_our_server_says_our_client_hears(stream: Stream, connect: Connect) -> None:
    said: list[Event] = [Accepted("r-1"), *(Token("é\n" * n, n) for n in range(50))]

    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        for event in said:
            yield event

    async with connect(await stream(handler)).stream(TALK) as events:
        assert [event async for event in events] == said


async def test_our_client_raises_what_our_server_raised(stream: Stream, connect: Connect) -> None:
    async def handler(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        for event in NO_EVENTS:
            yield event
        raise ModelNotFound(model="m", near=["n"])

    with pytest.raises(RbeeError) as caught:
        async with connect(await stream(handler)).stream(TALK):
            raise AssertionError("the stream must not open")
    assert caught.value.details == {"model": "m", "near": ["n"]}


TALK_OR_TELL = Endpoint("GET", "/either", Nothing, Ack, (Accepted, ErrorEnvelope))


async def test_who_accepts_a_stream_gets_one_and_others_the_reply(
    lifecycle: Lifecycle, serve: Serve, connect: Connect
) -> None:
    async def tell(_: web.Request, __: Nothing) -> Ack:
        return Ack("told")

    async def talk(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield Accepted("r-1")

    app = server.application(lifecycle)
    server.answer_or_stream(app, TALK_OR_TELL, tell, talk)
    url = await serve(app)
    async with connect(url) as client:
        assert await client.call(TALK_OR_TELL) == Ack("told")
        async with client.stream(TALK_OR_TELL) as events:
            assert [event async for event in events] == [Accepted("r-1")]
    # Who says nothing of what it accepts.
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Accept"]) as session,
        session.get(f"{url}{TALK_OR_TELL.path}") as reply,
    ):
        assert "Accept" not in reply.request_info.headers
        assert await reply.json() == {"message": "told"}
