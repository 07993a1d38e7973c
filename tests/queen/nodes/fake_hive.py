"""A hive that a test can bend: HTTP only, in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from rbee import __version__
from rbee.contract.errors import InvalidApiKey, RbeeError
from rbee.contract.events import Event, Snapshot
from rbee.contract.nodes import HiveHealth, NodeFacts, NodeInfo, Owner
from rbee.contract.workers import WorkerRow, WorkerRows
from rbee.runtime import sse
from rbee.runtime.journal import Journal
from tests.proving import knows


class FakeHive:
    """`asked` are the paths that were asked with the right key, `refused` the others. `replies` are
    answers of its own for a path, `streams` what it streams for one, without an end mark
    if it `breaks`. `messages` are the bodies it got, `resumed` the last event of each reader of its
    events, `lost` are events that no reader gets, `connections` those that had the right
    key."""

    def __init__(self) -> None:
        self.key = "key-of-the-node"
        self.version = __version__
        self.backends = ["cpu"]
        self.state: Any = "running"
        self.owner: Owner | None = None
        self.workers: list[WorkerRow] = []
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.replies: dict[str, Callable[[], Awaitable[object]]] = {}
        self.streams: dict[str, list[Event]] = {}
        self.breaks = False
        self.messages: list[object] = []
        self.facts: NodeFacts | None = None
        self.resumed: list[str] = []
        self.lost: list[Event] = []
        self.listening = 0
        self.connections: set[web.RequestHandler[web.Request]] = set()
        self.url = ""
        self.events = Journal()
        self._streams: list[asyncio.Transport] = []
        self._server: TestServer | None = None

    @property
    def is_open(self) -> bool:
        return self._server is not None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def begin(self, port: int = 0) -> None:
        app = web.Application(middlewares=[knows(lambda: self.key)])
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app, host="127.0.0.1", port=port or None)
        await self._server.start_server(shutdown_timeout=0.05)
        self.url = str(self._server.make_url("/")).rstrip("/")

    async def close(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.close()

    def tell(self, event: Event) -> None:
        self.events.send(event)

    def drop(self) -> None:
        """Break the streams of events."""
        for transport in self._streams:
            transport.abort()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            self.refused.append(path)
            return _failed(InvalidApiKey(host="node"), 401)
        self.asked.append(path)
        self.connections.add(request.protocol)
        if path in self.replies:
            try:
                return _body(await self.replies[path]())
            except RbeeError as error:
                return _failed(error, error.status or 500)
        if path in self.streams:
            return await self._stream(request, self.streams[path])
        if path == "/v1/events":
            return await self._tell(request)
        if path == "/v1/admin/shutdown":
            asyncio.get_running_loop().call_later(0.05, self._leave)
            return web.json_response({"message": "bye"}, status=202)
        replies: dict[str, object] = {
            "/v1/health": HiveHealth("alive", self.version, "v1"),
            "/v1/node": NodeInfo(self.backends, {"cpu": 1}, [], 2, 1, 3, self.state, self.owner),
            "/v1/workers/list": WorkerRows(self.workers),
        }
        return _body(replies[path])

    async def _stream(self, request: web.Request, events: list[Event]) -> web.StreamResponse:
        assert request.headers["Accept"] == "text/event-stream"
        if body := await request.read():
            self.messages.append(msgspec.json.decode(body))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write(sse.encode(event))
        if not self.breaks:
            await response.write(sse.LAST)
        return response

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        self._streams.append(request.transport)
        self.listening += 1
        try:
            last_id = request.headers.get(sse.LAST_EVENT_HEADER, "")
            self.resumed.append(last_id)
            snapshot = Snapshot(self.workers, self.facts)
            async for event in self.events.follow(last_id, lambda: snapshot):
                if event.event not in self.lost:
                    await response.write(sse.encode(event))
        finally:
            self.listening -= 1

    def _leave(self) -> None:
        self._leaving = asyncio.create_task(self.close())


def _body(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _failed(error: RbeeError, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(error.envelope()), status=status)
