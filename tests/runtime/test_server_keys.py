"""Keys with names at a daemon's door: roles, revocation, and whose request a log line is of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from rbee.contract.daemons import Ack, Hold
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.events import Event
from rbee.runtime import server
from rbee.runtime.keyring import OPERATOR, Caller, caller
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.log import key_name

Serve = Callable[[web.Application], Awaitable[str]]

USE = Endpoint("GET", "/use", Nothing, Ack, role="use")
MANAGE = Endpoint("POST", "/manage", Nothing, Ack)
WAIT = Endpoint("GET", "/wait", Nothing, Ack, role="use")
FOLLOW = Endpoint("GET", "/follow", Nothing, Nothing, (Hold,), role="use")
OPEN = Endpoint("GET", "/health", Nothing, Ack, open=True)


class Ring:
    """The keys `boss-key`, `guest-key` and `house-key`, the operator's."""

    def __init__(self) -> None:
        self.revoked = asyncio.Event()
        self.callers = {
            "house-key": OPERATOR,
            "boss-key": Caller("boss", "manage"),
            "guest-key": Caller("guest", "use", revoked=self.revoked),
        }

    def caller(self, key: str) -> Caller | None:
        return self.callers.get(key)

    def digest(self, _: str) -> bytes | None:
        return None


class Served:
    """What a test asks: `ended` is set when the work behind `/wait` or `/follow` ends."""

    def __init__(self) -> None:
        self.ring = Ring()
        self.began, self.ended = asyncio.Event(), asyncio.Event()
        self.url = ""

    async def status(self, method: str, path: str, key: str = "guest-key") -> tuple[int, str]:
        """The status, and the error's code or the message."""
        async with (
            asyncio.timeout(5),
            aiohttp.ClientSession() as session,
            self.ask(session, method, path, key) as got,
        ):
            body = await got.json()
            return got.status, body["error"]["code"] if "error" in body else body["message"]

    def ask(
        self, session: aiohttp.ClientSession, method: str, path: str, key: str = "guest-key"
    ) -> aiohttp.client._RequestContextManager:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return session.request(method, f"{self.url}{path}", headers=headers)

    async def answer(self, _: web.Request, __: Nothing) -> Ack:
        return Ack(f"{caller.get().name} {key_name.get()}".strip())

    async def wait(self, _: web.Request, __: Nothing) -> Ack:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError("unreachable")

    async def follow(self, _: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield Hold("h")
        await self.wait(_, __)


@pytest.fixture
async def served(serve: Serve) -> Served:
    made = Served()
    lifecycle = Lifecycle("queen-rbee", None, "house-key")
    lifecycle.keys = made.ring
    app = server.application(lifecycle, keep_alive_s=0.05)
    for endpoint in (USE, MANAGE, OPEN):
        server.answer(app, endpoint, made.answer)
    server.answer(app, WAIT, made.wait)
    server.stream(app, FOLLOW, made.follow)
    made.url = await serve(app)
    return made


@pytest.mark.parametrize(
    ("method", "path", "key", "wanted"),
    [
        ("GET", "/use", "guest-key", (200, "guest guest")),
        ("POST", "/manage", "guest-key", (403, "WRONG_ROLE")),
        ("GET", "/use", "boss-key", (200, "boss boss")),
        ("POST", "/manage", "boss-key", (200, "boss boss")),
        ("POST", "/manage", "house-key", (200, "operator")),
        ("GET", "/nowhere", "guest-key", (404, "INVALID_REQUEST")),
        ("POST", "/use", "guest-key", (405, "INVALID_REQUEST")),
        ("POST", "/manage", "other-key", (401, "INVALID_API_KEY")),
        ("GET", "/health", "", (200, "operator")),
        ("GET", "/health", "guest-key", (200, "operator")),
    ],
)
async def test_a_key_opens_the_routes_of_its_role(
    served: Served, method: str, path: str, key: str, wanted: tuple[int, str]
) -> None:
    assert await served.status(method, path, key) == wanted


async def test_requests_of_one_connection_have_each_their_own_caller(served: Served) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        said = []
        for key, path in (("guest-key", "/use"), ("", "/health"), ("house-key", "/use")):
            async with served.ask(session, "GET", path, key) as reply:
                said.append((await reply.json())["message"])
    assert said == ["guest guest", "operator", "operator"]


async def test_a_request_that_is_under_way_ends_when_its_key_is_revoked(served: Served) -> None:
    asking = asyncio.create_task(served.status("GET", "/wait"))
    await served.began.wait()
    served.ring.revoked.set()
    assert await asking == (401, "INVALID_API_KEY")
    assert served.ended.is_set()


async def test_a_stream_ends_with_the_error_when_its_key_is_revoked(served: Served) -> None:
    async with (
        asyncio.timeout(5),
        aiohttp.ClientSession() as session,
        served.ask(session, "GET", "/follow") as reply,
    ):
        await served.began.wait()
        served.ring.revoked.set()
        text = (await reply.content.read()).decode()
    assert served.ended.is_set()
    assert text.index("event: hold") < text.index("INVALID_API_KEY") < text.index("[DONE]")


async def test_log_lines_name_the_key_and_not_the_operator(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """A request is logged once its key is known."""
    named: list[tuple[str, str]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            named.append((key_name.get(), record.getMessage()))

    logger, listener = logging.getLogger("http-server"), Listener()
    logger.addHandler(listener)
    try:
        with caplog.at_level(logging.INFO):
            await served.status("POST", "/manage", "boss-key")
            await served.status("POST", "/manage", "house-key")
            await served.status("POST", "/manage", "other-key")
            await served.status("POST", "/manage", "guest-key")
    finally:
        logger.removeHandler(listener)
    assert [(name, line.partition(":")[0]) for name, line in named] == [
        ("boss", "POST /manage"),
        ("", "POST /manage"),
        ("", "POST /manage failed"),
        ("guest", "POST /manage failed"),
    ]
