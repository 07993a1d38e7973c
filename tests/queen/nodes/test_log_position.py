"""A log that is taken up again: nothing twice, nothing left out."""

from __future__ import annotations

from rbee.contract.logs import LogLine
from rbee.queen.nodes.log_position import LogPosition


def news(place: LogPosition, *lines: LogLine) -> list[str]:
    return [line.line for line in lines if place.is_new(line)]


def hive(at: float | None, line: str) -> LogLine:
    return LogLine("rbee-hive", line, at=at)


def worker(at: float, line: str) -> LogLine:
    return LogLine("worker-1", line, at=at)


def test_at_first_everything_is_new() -> None:
    assert news(LogPosition(), hive(1, "a"), worker(1, "b"), hive(1, "a")) == ["a", "b", "a"]


def test_what_comes_again_is_none() -> None:
    place = LogPosition()
    news(place, hive(1, "a"), hive(2, "b"))
    place.restart()
    assert news(place, hive(1, "a"), hive(2, "b"), hive(3, "c")) == ["c"]


def test_lines_of_the_same_time_are_counted() -> None:
    place = LogPosition()
    news(place, hive(1, "a"), hive(1, "llama"), hive(1, "llama"))
    place.restart()
    again = [hive(1, "a"), hive(1, "llama"), hive(1, "llama"), hive(1, "llama"), hive(1, "d")]
    assert news(place, *again) == ["llama", "d"]
    place.restart()
    assert news(place, *again, hive(1, "e")) == ["e"]


def test_each_source_has_its_own_place() -> None:
    place = LogPosition()
    news(place, hive(5, "a"), worker(2, "b"))
    place.restart()
    assert news(place, worker(2, "b"), worker(3, "c"), hive(5, "a")) == ["c"]


def test_what_was_there_before_the_first_line_stays_unseen() -> None:
    place = LogPosition()
    news(place, hive(5, "e"))
    place.restart()
    again = [hive(3, "c"), LogLine("worker-old", "x", at=4), hive(5, "e")]
    assert news(place, *again, LogLine("worker-new", "y", at=6)) == ["y"]


def test_before_it_is_taken_up_again_a_source_may_be_late() -> None:
    place = LogPosition()
    place.restart()
    assert news(place, hive(5, "a"), worker(4, "b"), worker(3, "c")) == ["a", "b", "c"]


def test_it_can_be_taken_up_any_number_of_times() -> None:
    place = LogPosition()
    news(place, hive(1, "a"))
    for number in range(2, 5):
        place.restart()
        assert news(place, *(hive(n, str(n)) for n in range(1, number + 1))) == [str(number)]


def test_a_line_without_a_time_is_always_news() -> None:
    place = LogPosition()
    assert news(place, hive(None, "a")) == ["a"]
    place.restart()
    assert news(place, hive(None, "a")) == ["a"]


def test_it_has_begun_with_its_first_line() -> None:
    place = LogPosition()
    assert not place.has_begun
    place.is_new(hive(0, "a"))
    assert place.has_begun
