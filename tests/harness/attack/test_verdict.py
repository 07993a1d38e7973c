"""From answers and measurements to faults, and from those to the table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.attack.exchange import Answer
from harness.attack.table import table, total
from harness.attack.verdict import Bounds, Measured, judge


def error(code: str, message: str = "no") -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "details": {}}}).encode()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(500, 0.1, body=b"<html>"), "500 without the envelope"),
        (Answer(404, 0.1, body=b"Not Found"), "404 without the envelope"),
        (Answer(400, 0.1, body=b'{"error":"x"}'), "400 without the envelope"),
        (Answer(500, 0.1, body=error("INTERNAL")), "500 INTERNAL"),
        (Answer(500, 0.1, body=error("DISK_FULL")), "500 DISK_FULL"),
        (Answer(502, 0.1, body=error("NEW_CODE")), "502 NEW_CODE"),
        (Answer(200, 5.1), "no answer within 5 s"),
        (Answer(-1, 5.0), "no answer within 5 s"),
        (Answer(200, 0.1, body=b"the s3cret key"), "a key is in the answer"),
        (Answer(400, 0.1, body=error("X", "Traceback (most recent call last)")), "a traceback"),
    ],
)
def test_what_a_program_must_not_answer(answer: Answer, said: str) -> None:
    result = judge("one", [answer], Measured(), [b"s3cret"])
    assert not result.held
    assert any(said in fault for fault in result.faults), result.faults


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, 4.9, body=b"{}"),
        Answer(404, 0.1, body=error("INVALID_REQUEST")),
        Answer(404, 0.1, only_head=True),
        Answer(507, 0.1, body=error("DISK_FULL")),
        Answer(503, 0.1, body=error("ALL_SLOTS_BUSY")),
        Answer(0, 0.1),
    ],
)
def test_what_a_program_may_answer(answer: Answer) -> None:
    assert judge("one", [answer], Measured(), [b"s3cret", b""]).held


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (Measured(growth_mb=49, name="hive"), "memory has grown by 49 MB (hive)"),
        (Measured(peak_mb=401), "memory was 401 MB higher meanwhile"),
        (Measured(log_bytes=2_500_000), "the logs have grown by 2.5 MB"),
    ],
)
def test_what_a_program_must_not_take(measured: Measured, said: str) -> None:
    assert judge("one", [], measured, []).faults == [said]
    assert judge("one", [], measured, [], Bounds(50, 500, 3_000_000)).held


def test_the_table_has_a_row_for_each_case_and_its_faults() -> None:
    answers = [Answer(200, 0.5), Answer(404, 0.1, body=b"")]
    results = [
        judge("a", answers, Measured(3, 9, 12_000), []),
        judge("b", [Answer(0, 1.25)], Measured(1, 1, 1000), []),
    ]
    lines = table(results).splitlines()
    cells: list[Any] = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[:5]]
    assert cells[2] == ["a", "2", "1", "1", "0", "0", "0", "0.50 s", "3 MB", "12 KB", "1 fault"]
    assert cells[3] == ["b", "1", "0", "0", "0", "1", "0", "1.25 s", "1 MB", "1 KB", "held"]
    assert cells[4][:3] == ["all", "3", "1"] and cells[4][-1] == "1 fault"
    assert lines[6] == "a:" and "404 without the envelope" in lines[7]
    assert {len(line) for line in lines[:5]} == {len(lines[0])}
    assert total(results).slowest_s == 1.25
