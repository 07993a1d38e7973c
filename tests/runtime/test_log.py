"""Log lines: one format for people, one for programs, and the last of them."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rbee.runtime import log
from tests.hostile import HOSTILE, forged, unsafe


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def correlated() -> Iterator[str]:
    token = log.correlation_id.set("c-42")
    yield "c-42"
    log.correlation_id.reset(token)


def test_a_text_line_has_level_logger_and_words(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up("info", "text")
    logging.getLogger("rbee-hive").warning("worker %s is gone", "w-1")
    line = capsys.readouterr().err
    assert "WARNING" in line
    assert line.endswith("rbee-hive worker w-1 is gone\n")


def test_a_text_line_begins_with_the_local_time(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC-5:30")  # ahead of UTC
    time.tzset()
    try:
        log.set_up("info", "text")
        logging.getLogger("a").info("words")
        stamp, _, _ = capsys.readouterr().err.partition(" ")
        ahead = datetime.fromisoformat(stamp) - datetime.now(UTC).replace(tzinfo=None)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert abs(ahead - timedelta(hours=5, minutes=30)) < timedelta(minutes=1)


def test_a_text_line_names_the_request_it_belongs_to(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], correlated: str
) -> None:
    log.set_up("info", "text")
    logging.getLogger("a").info("words")
    assert f"[{correlated}] words" in capsys.readouterr().err


def test_a_json_line_is_one_object(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], correlated: str
) -> None:
    log.set_up("debug", "json")
    logging.getLogger("rbee-hive").debug("two\nlines")
    line = capsys.readouterr().err
    said = json.loads(line)
    assert line.count("\n") == 1
    assert (said["level"], said["logger"], said["message"]) == ("debug", "rbee-hive", "two\nlines")
    assert said["correlation_id"] == correlated


def test_a_line_names_the_key_of_its_request_if_that_has_a_name(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], correlated: str
) -> None:
    token = log.key_name.set("laptop")
    for form in ("text", "json"):
        log.set_up("info", form)
        logging.getLogger("a").info("words")
    assert log.uncorrelated().run(log.key_name.get) == ""
    log.key_name.reset(token)
    logging.getLogger("a").info("words")
    text, named, nameless = capsys.readouterr().err.splitlines()
    assert text.endswith(f"a [{correlated}] key=laptop words")
    assert json.loads(named)["key"] == "laptop"
    assert "key" not in json.loads(nameless)


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_logged_with_its_traceback(
    form: str, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up("info", form)
    try:
        raise RuntimeError("the cause")
    except RuntimeError:
        logging.getLogger("a").exception("failed")
    said = capsys.readouterr().err
    assert "failed" in said
    assert "RuntimeError: the cause" in said
    assert Path(__file__).name in said


def test_lines_below_the_level_are_not_written(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up("warning", "text")
    logging.getLogger("a").info("quiet")
    assert capsys.readouterr().err == ""


def test_nothing_goes_to_standard_output(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up("info", "text")
    logging.getLogger("a").error("words")
    assert capsys.readouterr().out == ""
    assert sys.stdout is not None


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {n}\n" for n in range(50)))
    assert log.tail(tmp_path / "log", 3) == ["line 47", "line 48", "line 49"]


def test_the_tail_of_a_large_file_is_its_end(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 200_000 + b"\n\xff broken\nlast")
    assert log.tail(tmp_path / "log", 2) == ["� broken", "last"]


def test_a_short_file_is_its_own_tail(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\ntwo\n")
    assert log.tail(tmp_path / "log") == ["one", "two"]


def test_a_file_that_is_not_there_has_no_tail(tmp_path: Path) -> None:
    assert log.tail(tmp_path / "none") == []


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_record_is_a_line_whatever_it_quotes(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    log.set_up("info", form)
    logging.getLogger("http-server").info("GET %s", f"/{HOSTILE}\udcff")
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert (unsafe(line), forged(line.split(" ", 1)[1])) == (set(), [])
    assert "owned" in line and "\\udcff" in line


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_can_not_forge_a_record(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    log.set_up("info", form)
    try:
        raise ValueError(f"{HOSTILE}\udcff")
    except ValueError:
        logging.getLogger("a").exception("it failed")
    lines = capsys.readouterr().err
    assert unsafe(lines) == set()
    assert [line for line in lines.splitlines() if "forged" in line and line[0].isdigit()] == []
    assert "Traceback (most recent call last):" in lines
