"""A server of ours on a real port, in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rbee.runtime.client import Client
from rbee.runtime.plain_transport import PlainTransport
from tests.proving import knows

# Of the programs of any kind.
KEY = "secret-key"
Serve = Callable[[web.Application], Awaitable[str]]
Connect = Callable[..., Client]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start an application; gives its URL."""
    async with AsyncExitStack() as stack:

        async def start(app: web.Application) -> str:
            server = TestServer(app, host="127.0.0.1")
            await stack.enter_async_context(server)
            return str(server.make_url("/")).rstrip("/")

        yield start


@pytest.fixture
def start(serve: Serve) -> Start:
    """Serve a handler on every path, as a program of any kind; gives the URL."""

    async def begin(handler: Handler) -> str:
        app = web.Application(middlewares=[knows(lambda: KEY)])
        app.router.add_route("*", "/{path:.*}", handler)
        return await serve(app)

    return begin


@pytest.fixture(params=["aiohttp", "plain"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """A client of ours for a URL, over each transport."""
    async with AsyncExitStack() as stack:
        clients: list[Client] = []

        def make(
            url: str,
            key: str | None = None,
            connect_s: float = 5,
            silence_s: float = 5,
        ) -> Client:
            transport = PlainTransport() if request.param == "plain" else None
            clients.append(Client(url, key, connect_s, silence_s, transport))
            stack.push_async_callback(clients[-1].close)
            return clients[-1]

        yield make
