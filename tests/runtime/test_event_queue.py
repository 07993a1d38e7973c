"""What a task says on its way to its reader: all of it, in order, never unbounded."""

from __future__ import annotations

import asyncio

import pytest

from rbee.contract.errors import ModelNotFound
from rbee.contract.events import Accepted, Event, Token
from rbee.runtime.event_queue import Outlet


async def test_everything_comes_in_order_up_to_the_end() -> None:
    outlet = Outlet()
    outlet.tell(Accepted("r-1"))
    await outlet.send(Token("a", 0))
    outlet.tell(Accepted("r-2"))
    outlet.end()
    assert [event async for event in outlet.read()] == [
        Accepted("r-1"),
        Token("a", 0),
        Accepted("r-2"),
    ]


async def test_an_error_is_raised_to_the_reader_after_what_came_before_it() -> None:
    outlet = Outlet()
    await outlet.send(Token("a", 0))
    outlet.end(ModelNotFound(model="m", near=[]))
    came: list[Event] = []
    with pytest.raises(ModelNotFound):
        async for event in outlet.read():
            came.append(event)
    assert came == [Token("a", 0)]


async def test_a_reader_that_does_not_read_holds_the_sender_up() -> None:
    outlet = Outlet()
    sent = 0

    async def send() -> None:
        nonlocal sent
        for index in range(1000):
            await outlet.send(Token("a", index))
            sent += 1
        outlet.end()

    sending = asyncio.ensure_future(send())
    async with asyncio.timeout(5):
        before = -1
        while sent > before:
            before = sent
            await asyncio.sleep(0)
        assert 0 < sent < 1000
        read = [event async for event in outlet.read()]
        await sending
    assert read == [Token("a", index) for index in range(1000)]


async def test_telling_never_waits() -> None:
    outlet = Outlet()
    for _ in range(1000):
        outlet.tell(Accepted("r"))
    outlet.end()
    assert len([event async for event in outlet.read()]) == 1000
