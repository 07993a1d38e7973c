"""A log as it is read: its end, new lines, and files that were rotated meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rbee.hive.logs.log_tail import LONGEST_LINE, LogTail
from rbee.runtime.log_file import rotated


class Log:
    """A log and its writer, who puts it aside as daemons do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, *lines: str, end: str = "\n") -> None:
        with self.path.open("a") as file:
            file.write("\n".join(lines) + end)

    def rotate(self) -> None:
        for number in (2, 1):
            if (older := rotated(self.path, number)).exists():
                older.replace(rotated(self.path, number + 1))
        self.path.replace(rotated(self.path, 1))
        self.path.touch()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "rbee-hive.log")


@pytest.fixture
def tail(log: Log) -> Iterator[LogTail]:
    one = LogTail(log.path)
    yield one
    one.close()


def lines(found: list[tuple[float, str]]) -> list[str]:
    return [line for _, line in found]


def drained(tail: LogTail) -> list[str]:
    """All that there is to read now; a rotated file takes two more looks."""
    found: list[str] = []
    empty = 0
    while empty < 4:
        more = lines(tail.more())
        empty = 0 if more else empty + 1
        found += more
    return found


def test_the_last_lines_of_many(log: Log, tail: LogTail) -> None:
    log.write(*(f"line {n}" for n in range(50_000)))
    assert lines(tail.last(3)) == ["line 49997", "line 49998", "line 49999"]


def test_all_lines_of_a_few(log: Log, tail: LogTail) -> None:
    log.write("one", "", "three")
    assert lines(tail.last(100)) == ["one", "", "three"]


def test_none_are_none_and_what_comes_then_is_read(log: Log, tail: LogTail) -> None:
    log.write("before")
    assert tail.last(0) == []
    log.write("after")
    assert drained(tail) == ["after"]


def test_files_that_were_rotated_are_the_beginning(log: Log, tail: LogTail) -> None:
    for n in range(3):
        log.write(f"{n} a", f"{n} b")
        log.rotate()
    log.write("3 a")
    assert lines(tail.last(4)) == ["1 b", "2 a", "2 b", "3 a"]
    assert lines(tail.last(100)) == ["0 a", "0 b", "1 a", "1 b", "2 a", "2 b", "3 a"]
    assert drained(tail) == []


def test_a_long_file_and_what_was_rotated_before_it(log: Log, tail: LogTail) -> None:
    log.write(*(f"old {n}" for n in range(500)))
    log.rotate()
    log.write(*(f"new {n}" for n in range(1000)))
    assert lines(tail.last(100)) == [f"new {n}" for n in range(900, 1000)]
    assert lines(tail.last(1100)) == [
        *(f"old {n}" for n in range(400, 500)),
        *(f"new {n}" for n in range(1000)),
    ]


def test_what_comes_is_read_from_where_the_last_lines_ended(log: Log, tail: LogTail) -> None:
    log.write("one")
    assert lines(tail.last(10)) == ["one"]
    log.write("two", "three")
    assert drained(tail) == ["two", "three"]
    assert drained(tail) == []


def test_half_a_line_waits_for_its_end(log: Log, tail: LogTail) -> None:
    log.write("one", "tw", end="")
    assert lines(tail.last(10)) == ["one"]
    assert drained(tail) == []
    log.write("o")
    assert drained(tail) == ["two"]


def test_a_line_without_an_end_is_cut(log: Log, tail: LogTail) -> None:
    log.write("")
    tail.last(0)
    log.write("x" * 200_000, end="")
    found = drained(tail)
    assert found
    assert all(set(piece) == {"x"} for piece in found)
    assert sum(map(len, found)) >= 200_000 - LONGEST_LINE


def test_no_line_is_lost_where_the_file_is_rotated(log: Log, tail: LogTail) -> None:
    log.write("one")
    assert lines(tail.last(10)) == ["one"]
    log.write("two")
    log.rotate()
    log.write("three")
    assert drained(tail) == ["two", "three"]


def test_its_writer_may_still_be_writing_to_the_file_that_was_rotated(
    log: Log, tail: LogTail
) -> None:
    log.write("one")
    tail.last(10)
    with log.path.open("a") as late:
        log.rotate()
        log.write("three")
        assert tail.more() == []
        late.write("two\n")
    assert drained(tail) == ["two", "three"]


def test_no_line_is_lost_where_it_is_rotated_again_before_anybody_looks(
    log: Log, tail: LogTail
) -> None:
    log.write("one")
    tail.last(10)
    for word in ("two", "three"):
        log.write(word)
        log.rotate()
    log.write("four")
    assert drained(tail) == ["two", "three", "four"]


def test_a_reader_that_was_away_for_too_long_goes_on_with_the_oldest_file(
    log: Log, tail: LogTail
) -> None:
    log.write("one")
    tail.last(10)
    for word in ("two", "three", "four"):
        log.write(word)
        log.rotate()
    rotated(log.path, 3).unlink()
    rotated(log.path, 2).unlink()
    log.write("five")
    assert drained(tail) == ["two", "four", "five"]


def test_a_half_line_of_a_rotated_file_is_reported_at_its_end(log: Log, tail: LogTail) -> None:
    log.write("one", "half", end="")
    tail.last(10)
    log.rotate()
    log.write("three")
    assert drained(tail) == ["half", "three"]


def test_a_file_that_comes_later_is_read_from_its_beginning(log: Log, tail: LogTail) -> None:
    assert tail.last(10) == []
    log.write("one")
    assert drained(tail) == ["one"]


def test_one_that_is_gone_says_so(log: Log, tail: LogTail) -> None:
    log.write("one")
    tail.last(10)
    log.write("two")
    log.path.unlink()
    assert drained(tail) == ["two"]
    assert tail.gone


def test_bytes_that_are_no_text_become_a_substitute(log: Log, tail: LogTail) -> None:
    log.path.write_bytes(b"\xff\r\n")
    assert lines(tail.last(1)) == ["�"]


def test_a_line_has_the_time_of_the_one_before_also_where_that_is_not_wanted(
    log: Log, tail: LogTail
) -> None:
    log.write('{"time":7}', "llama", "llama again")
    assert tail.last(1) == [(7, "llama again")]
    log.write("and again")
    assert tail.more() == [(7, "and again")]
