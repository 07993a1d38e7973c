"""The trail of a command: what was asked, under which mark, and never with a secret."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from rbee.contract.daemons import Ack
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import ConnectionTimeout, RbeeError
from rbee.contract.events import Event, Loading, Narration, Token
from rbee.runtime import debug_trace, sse
from rbee.runtime.log import CORRELATION_HEADER, correlation_id, uncorrelated

LOOK = Endpoint("GET", "/look/{name}", Nothing, Ack)
TELL = Endpoint("GET", "/tell", Nothing, Nothing)
Connect = Callable[..., Any]
Start = Callable[..., Awaitable[str]]


@pytest.fixture
def wanted() -> Iterator[list[str]]:
    """Lines of a trail that a person wants to see."""
    before = debug_trace.wanted.set(True)
    yield []
    debug_trace.wanted.reset(before)


async def _answers(request: web.Request) -> web.StreamResponse:
    mark = request.headers.get(CORRELATION_HEADER, "")
    if request.path == "/tell":
        response = web.StreamResponse(
            headers={CORRELATION_HEADER: mark, "Content-Type": "text/event-stream"}
        )
        await response.prepare(request)
        loading = Loading("loading_to_vram", 1, 2)
        events: list[Event] = [Narration("a", "words", "c"), loading, loading]
        for event in (*events, Token("Once", 0), Token(" upon", 1)):
            await response.write(sse.encode(event))
        await response.write(sse.LAST)
        return response
    heads = {CORRELATION_HEADER: mark} if "deaf" not in request.path else {}
    return web.json_response({"message": "there"}, headers=heads)


async def test_a_request_is_noted_with_its_status_and_time(
    start: Start, connect: Connect, wanted: list[str]
) -> None:
    client = connect(await start(_answers), "secret-key")
    with debug_trace.traced(wanted.append) as followed:
        await client.call(LOOK, name="n")
    assert len(wanted) == 1
    assert re.fullmatch(r"\[debug\]  *\d+\.\d{3} s  GET /look/n: 200, after \d+ ms", wanted[0])
    assert followed.heard


async def test_one_who_does_not_send_the_mark_back_has_not_heard_it(
    start: Start, connect: Connect, wanted: list[str]
) -> None:
    client = connect(await start(_answers))
    with debug_trace.traced(wanted.append) as followed:
        await client.call(LOOK, name="deaf")
    assert not followed.heard


async def test_a_request_that_nobody_answers_is_noted_too(
    connect: Connect, wanted: list[str]
) -> None:
    with debug_trace.traced(wanted.append) as followed, pytest.raises(ConnectionTimeout):
        await connect("http://127.0.0.1:1").call(LOOK, name="n")
    assert "GET /look/n: Connection refused" in wanted[0]
    assert not followed.heard


async def test_events_are_noted_by_their_kind(
    start: Start, connect: Connect, wanted: list[str]
) -> None:
    client = connect(await start(_answers))
    with debug_trace.traced(wanted.append):
        async with client.stream(TELL) as events:
            async for _ in events:
                pass
    said = [line.split(" s  ")[1] for line in wanted[1:]]
    assert said == ["event: loading", "event: the first token", "the stream's end after 2 tokens"]


async def test_without_debug_the_mark_goes_along_and_nothing_is_told(
    start: Start, connect: Connect
) -> None:
    lines: list[str] = []
    client = connect(await start(_answers))
    with debug_trace.traced(lines.append) as followed:
        assert correlation_id.get() == followed.trace_id
        await client.call(LOOK, name="n")
    assert (lines, followed.heard, debug_trace.current()) == ([], True, None)


async def test_a_program_without_a_command_leaves_no_trail(start: Start, connect: Connect) -> None:
    assert (await connect(await start(_answers)).call(LOOK, name="n")).message == "there"


async def test_no_key_is_ever_in_it(start: Start, connect: Connect, wanted: list[str]) -> None:
    client = connect(await start(_answers), "secret-key")
    with debug_trace.traced(wanted.append) as followed:
        await client.call(LOOK, name="n")
        followed.add("Authorization: Bearer abc.def-1\nhf_AbCdEf123 and secret-key")
    text = "\n".join(wanted)
    assert "secret-key" not in text and "abc" not in text and "AbCdEf" not in text
    assert wanted[1:] == ["[debug] Authorization: Bearer …", "[debug] hf_… and …"]


def test_each_command_has_a_mark_of_its_own() -> None:
    marks = set()
    for _ in range(3):
        with debug_trace.traced(print) as followed:
            marks.add(followed.trace_id)
    assert len(marks) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", mark) for mark in marks)


def test_what_outlives_a_request_is_apart_from_it() -> None:
    with debug_trace.traced(print) as followed:
        assert uncorrelated().run(correlation_id.get) == ""
        assert correlation_id.get() == followed.trace_id


def test_an_error_is_an_error_with_a_trail_as_without() -> None:
    with pytest.raises(RbeeError), debug_trace.traced(print):
        raise ConnectionTimeout(host="h", port=1, attempts=1)
    assert debug_trace.current() is None
