"""Work on a thread that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rbee.runtime.concurrency import CallerGone, go_on, in_thread


async def test_what_the_work_returns_comes_back() -> None:
    assert await in_thread(lambda: 7) == 7
    assert await in_thread(lambda: None) is None


async def test_what_the_work_raises_comes_back() -> None:
    def work() -> None:
        raise KeyError("m")

    with pytest.raises(KeyError, match="m"):
        await in_thread(work)


async def test_canceled_the_work_goes_on_unheard() -> None:
    began, go, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        go.wait(5)
        done.set()

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(began.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not done.is_set()
    go.set()
    assert await asyncio.to_thread(done.wait, 5)


async def test_canceled_the_work_ends_at_its_next_step() -> None:
    began, ended = threading.Event(), threading.Event()
    steps = []

    def work() -> None:
        try:
            while True:
                steps.append(go_on())
                began.set()
        except CallerGone:
            ended.set()

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(began.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 5)


async def test_work_that_is_waited_for_goes_on() -> None:
    go_on()
    await in_thread(go_on)
    over = threading.Event()
    task = asyncio.create_task(in_thread(over.wait))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await in_thread(go_on)
    over.set()


def test_the_program_ends_though_the_work_hangs() -> None:
    """asyncio.run would wait for one of its own threads; the thread is a daemon."""
    forever = threading.Event()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_thread(forever.wait), 0.01)

    asyncio.run(main())
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    assert all(thread.daemon for thread in left if thread.name.startswith("in_thread"))
    assert any(thread.name.startswith("in_thread") for thread in left)
    forever.set()


async def test_a_hundred_hanging_ones_keep_nobody_from_a_thread() -> None:
    forever = threading.Event()
    hanging = [asyncio.create_task(in_thread(forever.wait)) for _ in range(100)]
    assert await asyncio.wait_for(in_thread(lambda: "at once"), 5) == "at once"
    forever.set()
    await asyncio.gather(*hanging)
