"""A run's reports show every scenario, its steps, and why it failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.running import html_report, junit_report


def step(name: str, status: str = "passed", *error: str) -> dict[str, Any]:
    result = {"status": status, "duration": 0.25, "error_message": list(error)}
    return {"keyword": "Given", "name": name, "result": result}


def feature(folder: Path) -> dict[str, Any]:
    (folder / "report.txt").write_text("--- queen's log\n<last words>\n")
    common = {"type": "scenario", "tags": ["t001-01"], "duration": 0.5}
    return {
        "name": "A & B",
        "elements": [
            {"type": "background", "steps": [], "location": "features/x/a.feature:2"},
            {
                **common,
                "name": "good",
                "location": "features/x/a.feature:4",
                "status": "passed",
                "steps": [
                    step("one"),
                    {**step("two"), "table": {"headings": ["h"], "rows": [["cell"]]}},
                ],
            },
            {
                **common,
                "name": "bad",
                "location": "features/x/a.feature:9",
                "status": "failed",
                "evidence": str(folder),
                "steps": [
                    step("it breaks", "failed", "ASSERT FAILED: 1 < 2", "a \x1b[31mred line"),
                    {"keyword": "Then", "name": "never"},
                ],
            },
            {
                **common,
                "name": "off",
                "location": "features/x/a.feature:14",
                "status": "skipped",
                "skip_reason": "@gpu: no card",
                "steps": [],
            },
            {
                **common,
                "name": "leaks",
                "location": "features/x/a.feature:19",
                "status": "hook_error",
                "error_message": ["HOOK-ERROR: left running"],
                "steps": [step("one")],
            },
        ],
    }


@pytest.fixture
def suite(tmp_path: Path) -> ElementTree.Element:
    root = ElementTree.fromstring(junit_report.text([feature(tmp_path), {"name": "none"}]))
    [suite] = root
    return suite


def test_a_feature_is_a_suite_and_a_scenario_is_a_case(suite: ElementTree.Element) -> None:
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1", "time": "2.000"}
    good = suite[0]
    assert (good.get("classname"), good.get("name")) == ("features.x.a", "good")
    assert (good.get("file"), good.get("line")) == ("features/x/a.feature", "4")
    assert "0.250 s  passed   Given one" in (good.findtext("system-out") or "")


def test_a_case_says_why_it_did_not_pass(suite: ElementTree.Element) -> None:
    _, bad, off, leaks = suite
    failure = bad.find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("Given it breaks", "failed")
    assert "ASSERT FAILED: 1 < 2\na \ufffd[31mred line" in (failure.text or "")
    assert [each.get("message") for each in off.findall("skipped")] == ["@gpu: no card"]
    assert [each.get("message") for each in leaks.findall("error")] == ["HOOK-ERROR: left running"]


def test_the_page_shows_steps_times_and_evidence(tmp_path: Path) -> None:
    page = html_report.text([feature(tmp_path)], {"commit": "abc"})
    for text in (
        "A &amp; B",
        "1 failed",
        "abc",
        "0.250 s",
        "Given it breaks",
        "ASSERT FAILED: 1 &lt; 2",
        "&lt;last words&gt;",
        "| cell |",
        "not reached",
        "<li>1: @gpu: no card",
        "HOOK-ERROR: left running",
    ):
        assert text in page, text
