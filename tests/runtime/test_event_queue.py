"""Events on their way to their reader: all of them, in order, never unbounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from rbee.contract.errors import ModelNotFound
from rbee.contract.events import Accepted, Event, Token
from rbee.runtime.event_queue import EventQueue, run_as_stream


async def test_everything_comes_in_order_up_to_the_end() -> None:
    events = EventQueue()
    events.put_nowait(Accepted("r-1"))
    await events.put(Token("a", 0))
    events.put_nowait(Accepted("r-2"))
    events.close()
    assert [event async for event in events.read()] == [
        Accepted("r-1"),
        Token("a", 0),
        Accepted("r-2"),
    ]


async def test_an_error_is_raised_to_the_reader_after_what_came_before_it() -> None:
    events = EventQueue()
    await events.put(Token("a", 0))
    events.close(ModelNotFound(model="m", near=[]))
    came: list[Event] = []
    with pytest.raises(ModelNotFound):
        async for event in events.read():
            came.append(event)
    assert came == [Token("a", 0)]


async def test_a_reader_that_does_not_read_holds_the_sender_up() -> None:
    events = EventQueue()
    sent = 0

    async def send() -> None:
        nonlocal sent
        for index in range(1000):
            await events.put(Token("a", index))
            sent += 1
        events.close()

    sending = asyncio.ensure_future(send())
    async with asyncio.timeout(5):
        before = -1
        while sent > before:
            before = sent
            await asyncio.sleep(0)
        assert 0 < sent < 1000
        read = [event async for event in events.read()]
        await sending
    assert read == [Token("a", index) for index in range(1000)]


async def test_telling_never_waits() -> None:
    events = EventQueue()
    for _ in range(1000):
        events.put_nowait(Accepted("r"))
    events.close()
    assert len([event async for event in events.read()]) == 1000


async def test_work_becomes_a_stream_that_opens_at_once_and_ends_with_the_work() -> None:
    async def work(events: EventQueue) -> None:
        events.put_nowait(Accepted("r-1"))
        await events.put(Token("a", 0))

    came = [event async for event in run_as_stream(work)]
    assert came == [None, Accepted("r-1"), Token("a", 0)]


@pytest.mark.parametrize("error", [ModelNotFound(model="m", near=[]), ZeroDivisionError("no")])
async def test_what_the_work_raises_is_raised_after_its_events(error: Exception) -> None:
    async def work(events: EventQueue) -> None:
        events.put_nowait(Accepted("r-1"))
        raise error

    came: list[Event | None] = []
    with pytest.raises(type(error)):
        async for event in run_as_stream(work):
            came.append(event)
    assert came == [None, Accepted("r-1")]


async def test_a_reader_that_leaves_cancels_the_work() -> None:
    canceled = asyncio.Event()

    async def work(events: EventQueue) -> None:
        events.put_nowait(Accepted("r-1"))
        try:
            await asyncio.Event().wait()
        finally:
            canceled.set()

    stream = run_as_stream(work)
    assert isinstance(stream, AsyncGenerator)
    async with contextlib.aclosing(stream):
        assert [await anext(stream), await anext(stream)] == [None, Accepted("r-1")]
    assert canceled.is_set()
