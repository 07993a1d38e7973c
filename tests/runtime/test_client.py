"""The client against programs that behave, that say nothing, and that are none of ours."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from rbee.contract.daemons import Ack
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import (
    AllSlotsBusy,
    ConnectionTimeout,
    Internal,
    ModelNotFound,
    RbeeError,
)
from rbee.contract.workers import WorkerName
from rbee.runtime import bind
from rbee.runtime.client import Client
from rbee.runtime.log import correlation_id

Connect = Callable[..., Client]

ASK = Endpoint("POST", "/ask/{name}", WorkerName, Ack)
FORGET = Endpoint("DELETE", "/forget/{name}", Nothing, Nothing, status=204)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[[Handler], Awaitable[str]]


def answering(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return handler


async def test_the_message_the_names_and_the_key_arrive(start: Start, connect: Connect) -> None:
    seen: dict[str, Any] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(
            method=request.method,
            path=request.path,
            key=request.headers["Authorization"],
            body=await request.json(),
            correlation=request.headers["X-Correlation-ID"],
        )
        return web.Response(body=b'{"message":"well"}')

    correlation_id.set("c-42")
    reply = await connect(await start(handler), "secret-key").call(
        ASK, WorkerName("worker-1"), name="x"
    )
    assert reply == Ack("well")
    assert seen == {
        "method": "POST",
        "path": "/ask/x",
        "key": "Bearer secret-key",
        "body": {"worker_id": "worker-1"},
        "correlation": "c-42",
    }


LIST = Endpoint("GET", "/list", Nothing, Ack, query=("node", "more"))


@pytest.mark.parametrize(
    "names", [{}, {"node": "a b&c=ü"}, {"node": "n", "more": "1"}, {"node": "n", "other": "x"}]
)
async def test_the_query_has_the_names_that_are_given_and_belong_to_it(
    start: Start, connect: Connect, names: dict[str, Any]
) -> None:
    seen: dict[str, str] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(request.query)
        return web.Response(body=b'{"message":"well"}')

    await connect(await start(handler)).call(LIST, **names)
    assert seen == {name: value for name, value in names.items() if name in LIST.query}


async def test_without_a_key_none_is_sent(start: Start, connect: Connect) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"message": str("Authorization" in request.headers)})

    reply = await connect(await start(handler)).call(ASK, WorkerName("w"), name="x")
    assert reply.message == "False"


async def test_a_reply_of_a_later_version_may_have_more_fields(
    start: Start, connect: Connect
) -> None:
    url = await start(answering(b'{"message":"well","more":1}'))
    assert await connect(url).call(ASK, WorkerName("w"), name="x") == Ack("well")


async def test_a_204_is_nothing(start: Start, connect: Connect) -> None:
    url = await start(answering(b"", 204))
    assert await connect(url).call(FORGET, name="x") == Nothing()


def free_port() -> int:
    with bind.listening_socket("127.0.0.1", 0) as sock:
        return int(sock.getsockname()[1])


async def test_where_nothing_listens_the_connection_times_out_with_the_address(
    connect: Connect,
) -> None:
    port = free_port()
    client = connect(f"http://127.0.0.1:{port}")
    with pytest.raises(ConnectionTimeout) as caught:
        await client.call(ASK, WorkerName("w"), name="x")
    assert (caught.value.details["host"], caught.value.details["port"]) == ("127.0.0.1", port)


async def test_an_ipv6_address_is_told_whole(connect: Connect) -> None:
    port = free_port()
    with pytest.raises(ConnectionTimeout) as caught:
        await connect(f"http://[::1]:{port}").call(ASK, WorkerName("w"), name="x")
    assert caught.value.details["host"].strip("[]") == "::1"
    assert caught.value.details["port"] == port


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://nowhere:8080", "nowhere"),
        ("http://nowhere", "nowhere"),
    ],
)
async def test_a_host_that_is_not_known_is_named(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, url: str, host: str
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionTimeout, match="Name or service not known") as caught:
        await connect(url).call(ASK, WorkerName("w"), name="x")
    assert caught.value.details["host"] == host


async def test_a_program_that_does_not_reply_times_out(start: Start, connect: Connect) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    client = connect(await start(handler))
    with pytest.raises(ConnectionTimeout):
        await client.call(ASK, WorkerName("w"), name="x", within_s=0.1)


async def test_a_reply_that_does_not_end_times_out(start: Start, connect: Connect) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'{"message":')
        await asyncio.Event().wait()
        return response

    client = connect(await start(handler))
    with pytest.raises(ConnectionTimeout):
        await client.call(ASK, WorkerName("w"), name="x", within_s=0.2)


@pytest.mark.parametrize(
    "error",
    [ModelNotFound(model="m", near=["n"]), AllSlotsBusy(slots_total=4, slots_busy=4, waiting=0)],
    ids=lambda error: error.code,
)
async def test_an_error_envelope_is_raised_as_what_it_was(
    start: Start, connect: Connect, error: RbeeError
) -> None:
    assert error.status is not None
    client = connect(await start(answering(msgspec.json.encode(error.envelope()), error.status)))
    with pytest.raises(type(error)) as caught:
        await client.call(ASK, WorkerName("w"), name="x")
    assert (caught.value.message, caught.value.details) == (error.message, error.details)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>It works!</html>", 200),
        (b"{}", 200),
        (b"", 200),
        (b"<html>Not Found</html>", 404),
        (b"", 500),
        (b'{"error":"in words"}', 400),
        (b'{"error":{"code":"X"}}', 400),
    ],
)
async def test_an_answer_of_another_kind_of_program_is_internal(
    start: Start, connect: Connect, body: bytes, status: int
) -> None:
    url = await start(answering(body, status))
    with pytest.raises(Internal) as caught:
        await connect(url).call(ASK, WorkerName("w"), name="x")
    assert url in caught.value.message


async def test_a_redirect_is_not_followed(start: Start, connect: Connect) -> None:
    url = await start(answering(b"", 302, {"Location": "/elsewhere"}))
    with pytest.raises(Internal):
        await connect(url, "secret-key").call(ASK, WorkerName("w"), name="x")


@pytest.mark.parametrize("url", ["http://", "no address", "http://127.0.0.1:99999", "ftp://h:1"])
async def test_a_url_that_is_none_is_an_error_of_ours(connect: Connect, url: str) -> None:
    with pytest.raises((Internal, ConnectionTimeout)):
        await connect(url).call(ASK, WorkerName("w"), name="x")


async def test_a_client_that_was_closed_can_ask_again(start: Start, connect: Connect) -> None:
    client = connect(await start(answering(b'{"message":"well"}')))
    for _ in range(2):
        async with client as same:
            assert (await same.call(ASK, WorkerName("w"), name="x")).message == "well"
