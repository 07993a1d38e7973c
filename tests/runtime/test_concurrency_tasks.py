"""The end of tasks: stopped without losing one's own cancellation, or let finish in spite of it."""

from __future__ import annotations

import asyncio

import pytest

from rbee.runtime.concurrency import Interruptible, finish


async def test_a_last_word_is_said_however_often_its_speaker_is_canceled() -> None:
    said: list[str] = []
    speaking, go_on = asyncio.Event(), asyncio.Event()

    async def speak() -> None:
        speaking.set()
        await go_on.wait()
        said.append("last word")

    async def speaker() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await finish(speak())
            raise

    task = asyncio.create_task(speaker())
    await asyncio.sleep(0)
    task.cancel()
    await speaking.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said == ["last word"]


async def test_a_last_word_that_fails_is_dropped() -> None:
    async def fail() -> None:
        raise ValueError

    await finish(fail())


async def test_work_that_is_broken_off_says_so() -> None:
    work, begun = Interruptible(), asyncio.Event()

    async def long() -> None:
        begun.set()
        await asyncio.sleep(60)

    doing = asyncio.create_task(work.run(long()))
    await begun.wait()
    work.interrupt()
    assert await asyncio.wait_for(doing, 5) is False
    assert await work.run(asyncio.sleep(0)) is True
    work.interrupt()  # nothing is being done


async def test_work_ends_with_who_waits_for_it() -> None:
    work, begun, ended = Interruptible(), asyncio.Event(), asyncio.Event()

    async def long() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    doing = asyncio.create_task(work.run(long()))
    await begun.wait()
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(doing, 5)
    assert ended.is_set()
