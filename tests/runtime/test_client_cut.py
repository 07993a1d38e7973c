"""A peer that is known to be out of reach: nothing waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import ConnectionTimeout, NotOurs, RbeeError, StreamTruncated
from rbee.contract.events import Token
from rbee.runtime import sse
from rbee.runtime.client import Client

Connect = Callable[..., Client]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[[Handler], Awaitable[str]]

TALK = Endpoint("GET", "/talk", Nothing, Nothing, (Token,))
ASK = Endpoint("GET", "/ask", Nothing, Token)


async def mute(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(sse.encode(Token("a", 0)))
    await asyncio.Event().wait()
    return response


async def test_a_stream_breaks(start: Start, connect: Connect) -> None:
    client = connect(await start(half), silence_s=30)
    with pytest.raises(StreamTruncated):
        async with asyncio.timeout(5), client.stream(TALK) as events:
            assert await anext(events) == Token("a", 0)
            asyncio.get_running_loop().call_soon(client.cut)
            await anext(events)


async def test_a_reader_of_a_stream_wakes_when_the_client_is_closed(
    start: Start, connect: Connect
) -> None:
    client = connect(await start(half), silence_s=30)
    with pytest.raises(StreamTruncated):
        async with asyncio.timeout(5), client.stream(TALK) as events:
            assert await anext(events) == Token("a", 0)
            closing = asyncio.create_task(client.close())
            await anext(events)
    await closing


async def test_a_reply_that_is_not_a_stream_is_not_read_as_one(
    start: Start, connect: Connect
) -> None:
    async def reply(request: web.Request) -> web.StreamResponse:
        return web.json_response({"token": "a", "index": 0})

    client = connect(await start(reply))
    with pytest.raises(NotOurs, match="application/json in place of a stream"):
        async with client.stream(TALK):
            pass


@pytest.mark.parametrize("handler", [mute, half])
async def test_a_question_without_its_answer_breaks(
    start: Start, connect: Connect, handler: Handler
) -> None:
    begun = asyncio.Semaphore(0)

    async def told(request: web.Request) -> web.StreamResponse:
        begun.release()
        return await handler(request)

    client = connect(await start(told))
    asking = [asyncio.create_task(client.call(ASK, within_s=60)) for _ in range(3)]
    async with asyncio.timeout(5):
        for _ in asking:
            await begun.acquire()
        await asyncio.sleep(0.1)
        client.cut()
        await asyncio.sleep(0)
        client.cut()
        for error in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(error, ConnectionTimeout)


async def test_what_was_canceled_is_no_longer_cut(start: Start, connect: Connect) -> None:
    client = connect(await start(mute))
    asking = asyncio.create_task(client.call(ASK, within_s=60))
    await asyncio.sleep(0.1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    client.cut()  # a finished exchange that is cut raises RuntimeError


async def test_afterwards_it_may_be_asked_again(start: Start, connect: Connect) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"token":"a","index":0}')

    client = connect(await start(answer))
    client.cut()
    assert await client.call(ASK) == Token("a", 0)
    client.cut()
    assert await client.call(ASK) == Token("a", 0)


async def test_a_question_that_takes_too_long_is_still_told(start: Start, connect: Connect) -> None:
    with pytest.raises(RbeeError, match="no answer in time"):
        await connect(await start(mute)).call(ASK, within_s=0.1)
