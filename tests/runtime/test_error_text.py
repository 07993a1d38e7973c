"""An error as a person reads it: what happened, what to do, why, and the mark in the logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rbee.contract import errors
from rbee.contract.errors import (
    DownloadFailed,
    ErrorBody,
    Internal,
    InvalidModelRef,
    ModelInUse,
    ModelNotFound,
    ProgramFailed,
    RbeeError,
    RequestCanceled,
    UnsupportedModelFormat,
    WorkerCrashed,
)
from rbee.runtime import debug_trace, log
from rbee.runtime.error_text import explain, show_trace, unexpected, visible_correlation_id

GONE = ModelNotFound("There is none.", model="m", near=["n"])


def crashed(*tail: str) -> str:
    details: dict[str, Any] = {"worker_id": "w", "node": "n", "tokens": 1, "max_tokens": 2}
    return explain(WorkerCrashed(log_tail=list(tail), **details))


def test_the_advice_stands_below_what_happened() -> None:
    assert explain(GONE) == "Error [MODEL_NOT_FOUND]: There is none.\n→ Did you mean n?"


def test_without_advice_it_is_one_line() -> None:
    assert "\n" not in explain(RequestCanceled())


def test_the_mark_is_the_last_line() -> None:
    assert explain(GONE, "c-1").splitlines()[-1] == "  correlation id: c-1"
    assert "correlation" not in explain(GONE)


def test_a_fault_names_its_own_mark_once() -> None:
    told = explain(Internal(correlation_id="c-2"), "c-1")
    assert told.count("correlation id: c-2") == 1
    assert "c-1" not in told


def test_the_last_words_of_a_worker_are_told_and_its_routine_is_not() -> None:
    told = crashed(
        "2026-11-21T23:05:15.548 INFO    http-server [c] GET /v1/events",
        '{"time":1.0,"level":"info","logger":"a","message":"m"}',
        "2026-11-21T23:05:16.000 ERROR   llama-cpp out of memory",
        "GGML_ASSERT(false) failed",
        "",
    ).splitlines()
    assert told[2:] == [
        "  the end of its log:",
        "    2026-11-21T23:05:16.000 ERROR   llama-cpp out of memory",
        "    GGML_ASSERT(false) failed",
    ]


def test_of_many_last_words_five_are_told() -> None:
    told = crashed(*(f"line {n}" for n in range(20)))
    assert told.endswith("line 15\n    line 16\n    line 17\n    line 18\n    line 19")
    assert "line 14" not in told


TRACE = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    1 / 0"]


def test_of_a_traceback_only_its_last_line_is_told() -> None:
    reason = "\n".join(["before", *TRACE, "ZeroDivisionError: division by zero", "after"])
    told = explain(ProgramFailed(program="queen-rbee", reason=reason)).splitlines()
    assert told[0] == "Error [PROGRAM_FAILED]: queen-rbee did not start: before"
    assert told[1:3] == ["  ZeroDivisionError: division by zero", "  after"]
    assert told[3].startswith("→ ")
    assert crashed(*TRACE, "MemoryError").endswith("of its log:\n    MemoryError")


def test_a_worker_that_said_nothing_is_quoted_with_nothing() -> None:
    assert "last words" not in crashed()


def test_what_the_details_tell_more_is_told() -> None:
    failed = DownloadFailed(
        model="m", attempts=6, bytes_downloaded=6_000_000, bytes_total=15_000_000, reason="r"
    )
    assert explain(failed).endswith("\n  6 of 15 MB downloaded")
    format_ = UnsupportedModelFormat(value="x", forms=["hf:a/b", "file:/p.gguf"])
    assert explain(format_).endswith("these forms:\n    hf:a/b\n    file:/p.gguf")
    held = ModelInUse(model="m", workers=["worker-1", "worker-2"])
    assert explain(held).endswith("\n  held by worker-1, worker-2")


def test_what_was_said_already_is_not_said_again() -> None:
    assert explain(InvalidModelRef(value="x", forms=["a", "b"])).count("one of") == 1
    assert "held by" not in explain(ModelInUse(model="m", workers=["worker-1"]))


@pytest.mark.parametrize("code", ["WORKER_CRASHED", "DOWNLOAD_FAILED", "MODEL_IN_USE"])
@pytest.mark.parametrize("value", [None, 3, "text", [None, {}]])
def test_details_of_any_kind_can_be_shown(code: str, value: object) -> None:
    names = ("log_tail", "workers", "forms", "bytes_total", "bytes_downloaded", "correlation_id")
    body = ErrorBody(code, "told", dict.fromkeys(names, value))
    assert explain(RbeeError.from_body(body)).startswith(f"Error [{code}]: told")


def test_the_mark_is_of_use_only_once_a_daemon_has_answered_under_it() -> None:
    assert visible_correlation_id() == ""
    with debug_trace.traced(print) as followed:
        assert visible_correlation_id() == ""
        followed.heard = True
        assert visible_correlation_id() == followed.trace_id == log.correlation_id.get()
    assert visible_correlation_id() == log.correlation_id.get() == ""


def test_a_fault_goes_to_the_log_and_its_mark_to_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with debug_trace.traced(print) as followed:
        told = explain(unexpected("rbee-keeper", KeyError("deep-down")))
    assert followed.trace_id in told
    assert "deep-down" not in told and "Traceback" not in told
    found = list(log.lines_with_id(tmp_path / ".rbee" / "logs", followed.trace_id))
    assert found[0][0] == "rbee-keeper.log"
    assert found[-1][1] == "KeyError: 'deep-down'"


def test_the_trail_of_an_error_has_the_logs_and_every_cause(tmp_path: Path) -> None:
    lines: list[str] = []
    with _wanted(), debug_trace.traced(lines.append) as followed:
        mark = followed.trace_id
        (tmp_path / "hive.log").write_text(
            f"2026-11-21T23:05:15.548 ERROR   a [{mark}] it failed\nTraceback\n  deep\n"
            "2026-11-21T23:05:15.549 INFO    a [other] another\nTraceback of another\n"
        )
        try:
            try:
                raise OSError("the cause")
            except OSError:
                raise errors.ShuttingDown("what followed") from None
        except RbeeError as error:
            show_trace(error, tmp_path)
    text = "\n".join(lines)
    assert f"[debug] hive.log: 2026-11-21T23:05:15.548 ERROR   a [{mark}] it failed" in lines
    assert "[debug] hive.log:   deep" in lines
    assert "another" not in text
    assert text.index("OSError: the cause") < text.index("ShuttingDown: what followed")
    assert all(line.startswith("[debug]") for line in lines)


def test_the_logs_are_read_from_the_oldest_on(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "a.log.10", "b.log"):
        (tmp_path / name).write_text(f"2026-11-21T23:05:15.548 INFO    x [m] in {name}\n")
    (tmp_path / "c.log").write_text('{"correlation_id":"m"}\n{"correlation_id":"n"}\n')
    found = [name for name, _ in log.lines_with_id(tmp_path, "m")]
    assert found == ["a.log.10", "a.log.1", "a.log", "b.log", "c.log"]


def test_without_debug_there_is_no_trail(tmp_path: Path) -> None:
    lines: list[str] = []
    with debug_trace.traced(lines.append):
        show_trace(GONE, tmp_path)
    show_trace(GONE, tmp_path)
    assert lines == []


class _wanted:
    def __enter__(self) -> None:
        self._before = debug_trace.wanted.set(True)

    def __exit__(self, *_: object) -> None:
        debug_trace.wanted.reset(self._before)
