"""What a daemon logs of its requests: each under its correlation id, in one line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from rbee.contract.daemons import Ack
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import ModelNotFound
from rbee.contract.events import Event, Narration
from rbee.runtime import server
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.log import correlation_id

Serve = Callable[[web.Application], Awaitable[str]]
Records = Callable[[], list[tuple[str, str, str]]]

LOOK = Endpoint("GET", "/look", Nothing, Ack)
DO = Endpoint("POST", "/do", Nothing, Ack)
TELL = Endpoint("POST", "/tell", Nothing, Nothing)
MARK = {"X-Correlation-ID": "c-7"}


@pytest.fixture
async def url(serve: Serve) -> str:
    async def look(_: web.Request, __: Nothing) -> Ack:
        return Ack("well")

    async def do(_: web.Request, __: Nothing) -> Ack:
        async def behind() -> None:
            logging.getLogger("behind").info("done in the background")

        await asyncio.create_task(behind())
        raise ModelNotFound("There is\nno such model.", model="m", near=[])

    async def tell(_: web.Request, __: Nothing) -> AsyncIterator[Event | None]:
        yield Narration("a", "words", "c")
        raise ModelNotFound("It went.", model="m", near=[])

    app = server.application(Lifecycle("rbee-hive", None, None))
    server.answer(app, LOOK, look)
    server.answer(app, DO, do)
    server.stream(app, TELL, tell)
    return await serve(app)


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Records:
    """Level, words and correlation id of every line of ours so far."""
    marks: list[str] = []

    class Marks(logging.Filter):
        def filter(self, _: logging.LogRecord) -> bool:
            marks.append(correlation_id.get())
            return True

    caplog.handler.addFilter(Marks())
    caplog.set_level(logging.DEBUG)

    def found() -> list[tuple[str, str, str]]:
        pairs = zip(caplog.records, marks, strict=True)
        ours = [
            (record, mark) for record, mark in pairs if record.name in ("http-server", "behind")
        ]
        return [(record.levelname, record.getMessage(), mark) for record, mark in ours]

    return found


async def ask(method: str, url: str, headers: dict[str, str] | None = None) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers or {}) as response,
    ):
        await response.read()
        return response.status


async def test_a_failure_is_logged_with_its_code_under_the_mark(url: str, records: Records) -> None:
    assert await ask("POST", f"{url}/do", MARK) == 404
    assert records() == [
        ("INFO", "POST /do", "c-7"),
        ("INFO", "done in the background", "c-7"),
        ("INFO", "POST /do failed: MODEL_NOT_FOUND: There is no such model.", "c-7"),
    ]


async def test_a_stream_that_fails_is_logged_too(url: str, records: Records) -> None:
    assert await ask("POST", f"{url}/tell", MARK) == 200
    assert records()[-1] == ("INFO", "POST /tell failed: MODEL_NOT_FOUND: It went.", "c-7")


async def test_to_look_is_no_event(url: str, records: Records) -> None:
    await ask("GET", f"{url}/look", MARK)
    assert records() == [("DEBUG", "GET /look", "c-7")]


async def test_to_look_in_vain_is_one(url: str, records: Records) -> None:
    await ask("GET", f"{url}/nothing", MARK)
    assert records()[-1][0] == "INFO"
    assert records()[-1][1].startswith("GET /nothing failed: INVALID_REQUEST: ")


async def test_no_path_makes_a_second_line(url: str, records: Records) -> None:
    forged = "%0A2026-11-21T00:00:00.000%20ERROR%20forged"
    assert await ask("GET", f"{url}/x{forged}", MARK) == 404
    assert records()
    assert not [words for _, words, _ in records() if "\n" in words]
