"""When a line was written, by its own word or by that of the one before it."""

from __future__ import annotations

from datetime import datetime

import pytest

from rbee.hive.logs.log_timestamps import timestamp, with_times

TEXT = "2026-11-21T22:46:38.123 INFO    rbee-hive listening"
AT = datetime(2026, 11, 21, 22, 46, 38, 123000).timestamp()


def test_a_text_line_says_it_in_local_time() -> None:
    assert timestamp(TEXT) == AT


def test_a_json_line_says_it_in_seconds() -> None:
    assert timestamp('{"time":12.5,"level":"info","message":"{"}') == 12.5


@pytest.mark.parametrize(
    "line",
    [
        "",
        "llama_model_loader: loaded",
        "{}",
        '{"time":"noon"}',
        "{ broken",
        "2026-13-41T22:46:38.123 no such day",
        "          T        .    nothing",
    ],
)
def test_other_lines_say_none(line: str) -> None:
    assert timestamp(line) is None


def test_a_line_without_a_time_has_that_of_the_one_before() -> None:
    assert list(with_times([TEXT, "llama", "  File x"], None)) == [
        (AT, TEXT),
        (AT, "llama"),
        (AT, "  File x"),
    ]


def test_the_first_lines_have_the_time_that_is_known_of_before() -> None:
    assert list(with_times(["llama"], 3.0)) == [(3.0, "llama")]


def test_where_nothing_is_known_of_before_they_have_that_of_the_first_that_says_it() -> None:
    assert list(with_times(["one", "two", TEXT], None)) == [(AT, "one"), (AT, "two"), (AT, TEXT)]


def test_a_log_without_any_timestamp_is_still_read() -> None:
    assert list(with_times(["one", "two"], None)) == [(None, "one"), (None, "two")]


def test_time_never_falls() -> None:
    lines = ['{"time":5}', '{"time":4}', '{"time":6}']
    assert [at for at, _ in with_times(lines, None)] == [5, 5, 6]
