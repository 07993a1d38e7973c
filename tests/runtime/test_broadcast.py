"""One source, many listeners: nobody holds up the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from rbee.runtime.broadcast import Broadcast


async def all_of(listener: AsyncIterator[int]) -> list[int]:
    async with asyncio.timeout(5):
        return [event async for event in listener]


async def test_every_listener_hears_everything_in_order() -> None:
    source: Broadcast[int] = Broadcast()
    with source.listen() as one, source.listen() as other:
        source.send(1)
        source.send(2)
        source.close()
        assert await all_of(one) == [1, 2]
        assert await all_of(other) == [1, 2]


async def test_a_late_listener_hears_what_comes_from_then_on() -> None:
    source: Broadcast[int] = Broadcast()
    source.send(1)
    with source.listen() as listener:
        source.send(2)
        source.close()
        assert await all_of(listener) == [2]


async def test_a_slow_listener_is_cut_off_and_the_others_go_on() -> None:
    source: Broadcast[int] = Broadcast()
    with source.listen() as slow, source.listen() as quick:
        for number in range(2000):
            source.send(number)
            assert await anext(quick) == number
        heard = await all_of(slow)
        source.close()
        assert await all_of(quick) == []
    assert heard == list(range(1024))


async def test_a_listener_that_was_cut_off_can_listen_again() -> None:
    source: Broadcast[int] = Broadcast()
    with source.listen() as slow:
        for number in range(2000):
            source.send(number)
        await all_of(slow)
    with source.listen() as again:
        source.send(-1)
        assert await anext(again) == -1


async def test_who_stopped_listening_is_sent_nothing() -> None:
    source: Broadcast[int] = Broadcast()
    with source.listen() as listener:
        source.send(1)
    source.send(2)
    source.close()
    assert await anext(listener) == 1
    pending = asyncio.ensure_future(anext(listener))
    await asyncio.sleep(0)
    assert not pending.done()
    pending.cancel()


async def test_what_is_forwarded_arrives_at_once_until_the_block_is_left() -> None:
    source: Broadcast[int] = Broadcast()
    heard: list[int] = []
    with source.forward(heard.append), source.listen() as listener:
        source.send(1)
        assert heard == [1]
        source.send(2)
        source.close()
        assert await all_of(listener) == [1, 2]
    source.send(3)
    assert heard == [1, 2]
