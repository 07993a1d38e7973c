"""What a run proved is written down as it was, and only if it was a run of everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness import conformance
from harness.conformance import Broken, Ran, Record
from harness.running import run_report
from harness.running.run_facts import facts
from harness.saboteurs.breaks import load


def scenario(name: str, status: str = "passed", **more: Any) -> dict[str, Any]:
    return {
        "type": "scenario",
        "name": name,
        "location": "features/a.feature:3",
        "tags": ["beyond", "t001-01"],
        "fingerprint": "abc",
        "status": status,
        "steps": [],
        **more,
    }


@pytest.fixture
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".evidence"


def write(*scenarios: dict[str, Any], whole: bool = True) -> None:
    features = [{"name": "A", "elements": [each]} for each in scenarios]
    run_report.write(features, facts("features", whole))


def test_each_scenario_is_written_down_once_with_its_last_result(evidence: Path) -> None:
    skipped = scenario("off", "skipped", skip_reason="@gpu: no card")
    write(scenario("b"), scenario("a", "failed"), skipped, scenario("a"), scenario("c", "error"))
    record = conformance.collect(evidence)
    common = {"numbers": ["t001-01"], "fingerprint": "abc"}
    assert record.scenarios == [
        Ran("features/a.feature", "a", "passed", **common, twice=True),
        Ran("features/a.feature", "b", "passed", **common),
        Ran("features/a.feature", "c", "failed", **common),
        Ran("features/a.feature", "off", "switched off", **common, why="@gpu: no card"),
    ]
    assert record.run["results"] == {"passed": 2, "failed": 1, "switched off": 1}
    assert {"commit", "began", "cores", "system", "python", "llama_cpp_python"} <= set(record.run)


def test_a_narrow_run_and_a_report_of_another_run_are_refused(evidence: Path) -> None:
    write(scenario("a"), whole=False)
    with pytest.raises(AssertionError, match="not of everything"):
        conformance.collect(evidence)
    write(scenario("a"))
    (evidence / "report.json").write_text("[]")
    with pytest.raises(AssertionError, match="another run"):
        conformance.collect(evidence)


TESTS = """<testsuites><testsuite>
<testcase classname="tests.hive.test_a" name="test_one[x]">
<properties><property name="behaviour" value="B2.1"/></properties></testcase>
<testcase classname="tests.hive.test_a" name="test_one[y]">
<properties><property name="behaviour" value="B2.1"/></properties>{}</testcase>
<testcase classname="tests.hive.test_a" name="test_two"/>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("end", "result"), [("", "passed"), ("<failure/>", "failed"), ("<skipped/>", "switched off")]
)
def test_tests_with_a_number_are_written_down(evidence: Path, end: str, result: str) -> None:
    write(scenario("a"))
    (evidence / "tests.xml").write_text(TESTS.format(end))
    found = conformance.collect(evidence).tests
    assert found == [Ran("tests/hive/test_a.py", "test_one", result, ["B2.1"])]


def test_breaks_are_written_down_as_they_are_now(evidence: Path) -> None:
    one, two = load()[:2]
    rows = [
        {"key": "of an older version", "verdict": "caught", "by": "a step"},
        {"key": one.key, "verdict": "survived", "by": "no scenario noticed"},
        {"key": one.key, "verdict": "caught", "by": "a step"},
        {"key": two.key, "verdict": "broken", "by": "an accident"},
    ]
    write(scenario("a"))
    (evidence / "saboteurs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = conformance.collect(evidence).saboteurs
    assert found == [Broken(f"{one.group}/{one.name}", True, one.proves, "a step")]


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Record(
        {"commit": "1", "results": {"passed": 1}},
        [Ran("features/a.feature", "Ü", "passed", ["t001-01"], "abc", twice=True)],
        [Ran("tests/test_a.py", "test_a", "failed")],
        [Broken("group/name", False, ["B1.1"])],
    )
    file = tmp_path / "conformance.json"
    file.write_text(conformance.text(record), encoding="utf-8")
    found = conformance.read(file)
    assert conformance.text(found) == conformance.text(record)
    assert found.scenarios[0] == record.scenarios[0]
    assert conformance.read(tmp_path / "nowhere.json") == Record()
