"""The logs of a node as one stream, in the order of their times."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rbee.contract.logs import LogLine
from rbee.hive.logs.log_stream import RecentLog, read
from rbee.hive.workers import worker_logs as files
from rbee.runtime import paths
from rbee.runtime.log_file import rotated


def write(source: str, *lines: str) -> Path:
    name = () if source == "rbee-hive" else (source,)
    path = paths.log_file("rbee-hive" if source == "rbee-hive" else files.WORKER, *name)
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))
    return path


def at(time: float, words: str) -> str:
    return f'{{"time":{time},"message":"{words}"}}'


async def all_of(lines: int, own: RecentLog | None = None) -> list[tuple[str, str]]:
    return [(one.source, one.line) async for one in read(own, lines, False) if one is not None]


async def test_the_lines_of_all_are_in_the_order_of_their_times(home: Path) -> None:
    write("rbee-hive", at(1, "a"), at(4, "d"), "no time")
    write("worker-1", at(2, "b"), at(5, "e"))
    write("worker-2", at(3, "c"))
    assert [source for source, _ in await all_of(100)] == [
        "rbee-hive",
        "worker-1",
        "worker-2",
        "rbee-hive",
        "rbee-hive",
        "worker-1",
    ]


async def test_the_last_lines_are_those_of_all_together(home: Path) -> None:
    write("rbee-hive", at(1, "a"), at(4, "d"))
    write("worker-1", at(2, "b"), at(3, "c"))
    assert await all_of(2) == [("worker-1", at(3, "c")), ("rbee-hive", at(4, "d"))]
    assert await all_of(0) == []


async def test_what_was_there_before_is_of_the_past(home: Path) -> None:
    write("rbee-hive", at(1, "a"))
    stream = read(None, 10, True)
    before = await anext(stream)
    assert await anext(stream) is None
    write("rbee-hive", at(2, "b"))
    after = await anext(stream)
    assert before is not None
    assert after is not None
    assert (before.past, after.past) == (True, False)


async def test_no_log_has_no_lines(home: Path) -> None:
    assert await all_of(10) == []


class Reader:
    def __init__(self, stream: AsyncIterator[LogLine | None]) -> None:
        self._stream = stream

    async def next(self) -> tuple[str, str] | None:
        async with asyncio.timeout(5):
            line = await anext(self._stream)
        return line and (line.source, line.line)


async def test_a_follower_gets_new_lines_and_new_logs(home: Path) -> None:
    write("rbee-hive", at(1, "a"))
    reader = Reader(read(None, 10, True))
    assert await reader.next() == ("rbee-hive", at(1, "a"))
    assert await reader.next() is None
    write("worker-1", at(2, "b"))
    assert await reader.next() == ("worker-1", at(2, "b"))
    path = write("rbee-hive", at(3, "c"))
    path.replace(rotated(path, 1))
    write("rbee-hive", at(4, "d"))
    assert await reader.next() == ("rbee-hive", at(3, "c"))
    assert await reader.next() == ("rbee-hive", at(4, "d"))


@pytest.fixture
def own() -> Iterator[RecentLog]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.setLevel("INFO")
    root.handlers[:] = []
    lines = RecentLog()
    lines.install()
    yield lines
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_a_hive_without_a_log_file_shows_what_it_remembers(
    home: Path, own: RecentLog
) -> None:
    write("rbee-hive", at(1, "of another hive, a year ago"))
    logging.getLogger("rbee-hive").info("one\ntwo")
    reader = Reader(read(own, 10, True))
    assert [await reader.next() for _ in range(3)] == [
        ("rbee-hive", "one"),
        ("rbee-hive", "two"),
        None,
    ]
    logging.getLogger("rbee-hive").warning("three")
    assert await reader.next() == ("rbee-hive", "three")


def test_it_remembers_so_many_lines(own: RecentLog) -> None:
    for number in range(5000):
        logging.getLogger("rbee-hive").info("line %d", number)
    count, lines = own.since(0)
    assert (count, len(lines), lines[-1][1]) == (5000, 4096, "line 4999")
    assert own.since(4999) == (5000, lines[-1:])
    assert own.since(5000) == (5000, [])


def test_the_log_of_a_worker_goes_with_all_its_files(home: Path) -> None:
    for number in range(22):
        path = write(f"worker-{number}", "words")
        rotated(path, 1).touch()
        path.touch()
    files.prune()
    left = {path.name.split(".log")[0] for path in path.parent.iterdir()}
    assert len(left) == 20
    assert len(list(path.parent.iterdir())) == 40


async def test_lines_that_were_not_kept_are_counted(home: Path, own: RecentLog) -> None:
    logger = logging.getLogger("rbee-hive")
    logger.info("first")
    reader = Reader(read(own, 10, True))
    assert [await reader.next(), await reader.next()] == [("rbee-hive", "first"), None]
    for number in range(5000):
        logger.info("%d", number)
    reported = await reader.next()
    assert reported == (
        "rbee-hive",
        "(904 lines were dropped because they came faster than they were read)",
    )
    assert await reader.next() == ("rbee-hive", "904")
