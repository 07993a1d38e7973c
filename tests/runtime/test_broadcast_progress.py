"""Progress: the latest at once, and the end to everyone."""

from __future__ import annotations

import asyncio

import pytest

from rbee.contract.errors import DiskFull, RbeeError, RequestCanceled
from rbee.runtime.broadcast import Progress

FULL = DiskFull(required=2, available=1, path="/m")


@pytest.fixture
def progress() -> Progress[int]:
    """Done at 100."""
    return Progress(lambda news: news == 100)


async def heard(progress: Progress[int]) -> list[int | None]:
    return [news async for news in progress.listen()]


async def listening(progress: Progress[int]) -> asyncio.Task[list[int | None]]:
    task = asyncio.create_task(heard(progress))
    await asyncio.sleep(0)
    return task


async def test_a_listener_hears_everything_up_to_the_last(progress: Progress[int]) -> None:
    task = await listening(progress)
    for news in (1, 50, 100):
        progress.tell(news)
    assert await task == [None, 1, 50, 100]


async def test_a_late_listener_gets_the_latest_at_once(progress: Progress[int]) -> None:
    progress.tell(1)
    progress.tell(50)
    task = await listening(progress)
    progress.tell(100)
    assert await task == [50, 100]


async def test_after_the_end_a_listener_hears_the_end(progress: Progress[int]) -> None:
    progress.tell(100)
    assert await heard(progress) == [100]
    assert progress.is_over


async def test_a_failure_is_raised_to_everyone_then_and_later(progress: Progress[int]) -> None:
    tasks = [await listening(progress) for _ in range(3)]
    progress.tell(1)
    progress.fail(FULL)
    for task in tasks:
        with pytest.raises(DiskFull):
            await task
    with pytest.raises(DiskFull):
        await heard(progress)


@pytest.mark.parametrize("last", [100, FULL])
async def test_nothing_is_told_after_the_end(
    progress: Progress[int], last: int | RbeeError
) -> None:
    progress.tell(1)
    if isinstance(last, RbeeError):
        progress.fail(last)
    else:
        progress.tell(last)
    latest = progress.latest
    progress.tell(50)
    progress.fail(RequestCanceled())
    assert progress.latest == latest
    if isinstance(last, RbeeError):
        with pytest.raises(DiskFull):
            await heard(progress)
    else:
        assert await heard(progress) == [100]


async def test_the_end_that_comes_while_the_latest_is_read_is_heard(
    progress: Progress[int],
) -> None:
    progress.tell(1)
    listener = aiter(progress.listen())
    assert await anext(listener) == 1
    progress.tell(100)
    assert await anext(listener) == 100
    with pytest.raises(StopAsyncIteration):
        await anext(listener)


async def test_a_failure_that_comes_while_the_latest_is_read_is_heard(
    progress: Progress[int],
) -> None:
    progress.tell(1)
    listener = aiter(progress.listen())
    assert await anext(listener) == 1
    progress.fail(FULL)
    with pytest.raises(DiskFull):
        await anext(listener)


async def test_it_is_not_over_before_its_end(progress: Progress[int]) -> None:
    assert not progress.is_over
    progress.tell(99)
    assert not progress.is_over
    progress.fail(FULL)
    assert progress.is_over
