"""A fake queen on a real port, and the keeper's command line to ask it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.daemons import Lifetime, QueenHealth, QueenStatus
from rbee.contract.endpoints import Endpoint
from rbee.contract.errors import RbeeError
from rbee.contract.events import Event
from rbee.keeper.cli import main
from rbee.runtime import api_key, sse
from tests.proving import knows

Keeper = Callable[..., Result]


class FakeQueen:
    """Answers in a thread of its own. `replies` by path: a message, an error, a list of events, or
    a list of those lists, one for each time. `asked` is what came: path, query, body."""

    def __init__(self) -> None:
        # The process that it claims to be; a shutdown ends it.
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.lifetime: Lifetime = "persistent"
        self.status: QueenStatus = "ok"
        self.last_words: list[Event] = []
        self.marks_the_end = True
        self.dies_first = False
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.replies: dict[str, list[Any]] = {}
        self._listeners: list[asyncio.Queue[Event | None]] = []
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._up.wait(10)

    def on(self, endpoint: Endpoint[Any, Any], *replies: Any) -> None:
        """Answer so, one after the other; the last one stays."""
        self.replies[endpoint.path] = list(replies)

    def paths(self) -> list[str]:
        """What was asked, except for its health."""
        return [path for path, _, _ in self.asked if path != ep.QUEEN_HEALTH.path]

    def body(self, endpoint: Endpoint[Any, Any]) -> Any:
        """What came to the endpoint last."""
        return [body for path, _, body in self.asked if path == endpoint.path][-1]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self.process.kill()
        self.process.communicate()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(middlewares=[knows(lambda: api_key.load(None))])
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0]
        self.url = f"http://{host}:{port}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        told = msgspec.json.decode(body) if body else None
        self.asked.append((request.path, dict(request.query), told))
        if request.path == ep.QUEEN_HEALTH.path:
            pid = self.process.pid
            health = QueenHealth(self.status, "queen-rbee", __version__, pid, self.lifetime)
            return _json(health, 200 if self.status == "ok" else 503)
        if request.path == ep.QUEEN_EVENTS.path and request.path not in self.replies:
            return await self._listen(request)
        if request.path == ep.SHUTDOWN.path:
            asyncio.get_running_loop().create_task(self._end())
            return _json({"message": "queen-rbee is shutting down."}, 202)
        replies = self.replies[request.path]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, RbeeError):
            return _json(reply.envelope(), reply.status or 500)
        if isinstance(reply, list):
            return await self._stream(request, reply)
        return _json(reply)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.append(queue)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while (event := await queue.get()) is not None:
            await response.write(sse.encode(event))
        if self.marks_the_end:
            await response.write(sse.LAST)
        return response

    async def _stream(self, request: web.Request, events: list[Event]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write(sse.encode(event))
        await response.write(sse.LAST)
        return response

    async def _end(self) -> None:
        await asyncio.sleep(0.05)
        if not self.dies_first:
            self._say_last_words()
            await asyncio.sleep(0.05)
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        await asyncio.sleep(0.2)
        if self.dies_first:
            self._say_last_words()

    def _say_last_words(self) -> None:
        for queue in self._listeners:
            for event in (*self.last_words, None):
                queue.put_nowait(event)


def _json(found: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(found), status=status, content_type="application/json"
    )


@pytest.fixture
def fake_queen(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeQueen]:
    """A persistent queen at the address that the keeper uses."""
    one = FakeQueen()
    monkeypatch.setenv("RBEE_QUEEN_URL", one.url)
    monkeypatch.setenv("RBEE_TIMES_GRACE_S", "1")
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def keeper() -> Keeper:
    """The command line, from its words to its exit code, in this process and without a terminal."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    return run
