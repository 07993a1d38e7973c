"""The model's files are looked at beside the event loop, and a look that hangs holds up nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rbee.contract.errors import ComputeFailed, ShuttingDown
from rbee.gguf.file_changes import Change
from rbee.worker.requests.model_files import ModelFiles

FILE = Path("/share/m.gguf")
PATIENCE_S = 20


class Share:
    """Where the files lie. It answers as long as nobody has it hang."""

    def __init__(self) -> None:
        self.change: Change | None = None
        self.looks: list[str] = []
        self.hangs = False
        self.asked, self.answers = threading.Event(), threading.Event()

    def find(self) -> Change | None:
        self.looks.append(threading.current_thread().name)
        self.asked.set()
        if self.hangs:
            assert self.answers.wait(PATIENCE_S)
        return self.change


@pytest.fixture
def share() -> Iterator[Share]:
    found = Share()
    yield found
    found.answers.set()


@pytest.fixture
async def files(share: Share) -> AsyncIterator[ModelFiles]:
    found = ModelFiles(FILE, share.find, lambda change: f"{change.file} has changed", 0.2)
    yield found
    found.close()


async def test_each_check_is_a_look_on_a_thread_of_its_own(share: Share, files: ModelFiles) -> None:
    for _ in range(3):
        await files.check()
    assert share.looks == ["model-files"] * 3


async def test_a_change_is_told_to_the_one_who_asks_and_to_all_after(
    share: Share, files: ModelFiles
) -> None:
    await files.check()
    share.change = Change(FILE, in_place=True)
    for _ in range(2):
        with pytest.raises(ShuttingDown, match="has changed"):
            await files.check()


async def test_what_changes_during_a_look_is_seen_by_the_one_who_asks_then(
    share: Share, files: ModelFiles
) -> None:
    share.hangs = True
    first = asyncio.create_task(files.check())
    await asyncio.to_thread(share.asked.wait, PATIENCE_S)
    second = asyncio.create_task(files.check())
    await asyncio.sleep(0)
    share.hangs = False
    share.answers.set()
    await asyncio.gather(first, second)
    assert len(share.looks) == 2


async def test_a_share_that_hangs_refuses_requests_and_takes_no_further_thread(
    share: Share, files: ModelFiles
) -> None:
    share.hangs = True
    before = set(threading.enumerate())
    with pytest.raises(ComputeFailed, match=r"m\.gguf can't be computed: .* has not answered"):
        await files.check()
    began = time.monotonic()
    for _ in range(50):
        files.look()
        with pytest.raises(ComputeFailed):
            await files.check()
    assert time.monotonic() - began < 5  # each would wait for 0.2 s
    assert files.is_hung
    assert len(share.looks) == 1
    assert set(threading.enumerate()) <= before


async def test_once_it_answers_again_requests_are_taken(share: Share, files: ModelFiles) -> None:
    share.hangs = True
    with pytest.raises(ComputeFailed):
        await files.check()
    share.hangs = False
    share.answers.set()
    async with asyncio.timeout(PATIENCE_S):
        while files.is_hung:  # noqa: ASYNC110  what is waited for is a thread
            await asyncio.sleep(0.01)
    await files.check()


async def test_nobody_waits_for_files_that_are_not_looked_at_any_more(share: Share) -> None:
    files = ModelFiles(FILE, share.find, lambda change: "", PATIENCE_S)
    share.hangs = True
    files.look()
    await asyncio.to_thread(share.asked.wait, PATIENCE_S)
    checking = asyncio.create_task(files.check())
    await asyncio.sleep(0)
    files.close()
    with pytest.raises(ShuttingDown):
        await asyncio.wait_for(checking, 5)


async def test_the_loop_goes_on_while_a_look_hangs(share: Share) -> None:
    files = ModelFiles(FILE, share.find, lambda change: "", PATIENCE_S)
    share.hangs = True
    checking = asyncio.create_task(files.check())
    await asyncio.to_thread(share.asked.wait, PATIENCE_S)
    assert not checking.done()
    share.answers.set()
    await checking
    files.close()
