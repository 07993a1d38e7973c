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
from harness.saboteurs.breaks import Break, load


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


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> list[Break]:
    """Three, of which the last is for a test."""
    found = [each for each in load() if not each.is_for_tests][:2]
    found += [each for each in load() if each.is_for_tests][:1]
    monkeypatch.setattr(conformance, "load", lambda: found)
    return found


def results(evidence: Path, *rows: dict[str, str]) -> None:
    (evidence / "saboteurs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_breaks_are_written_down_as_they_are_now(evidence: Path, breaks: list[Break]) -> None:
    one, two, _ = breaks
    write(scenario("a"))
    results(
        evidence,
        {"key": "of an older version", "verdict": "caught", "by": "a step"},
        {"key": one.key, "verdict": "survived", "by": "no scenario noticed"},
        {"key": one.key, "verdict": "caught", "by": "a step"},
        {"key": two.key, "verdict": "broken", "by": "an accident"},
    )
    found = conformance.collect(evidence).saboteurs
    assert found == [Broken(f"{one.group}/{one.name}", True, [], "a step", one.key)]


def test_a_number_kills_what_a_scenario_or_a_test_that_carries_it_noticed(
    evidence: Path, breaks: list[Break]
) -> None:
    one, two, tested = breaks
    write(scenario("a", location=f"{one.features[0]}:3"))
    place, name = tested.features[0].removesuffix(".py").replace("/", "."), tested.scenarios[0]
    test = TESTS.format("").replace("tests.hive.test_a", place).replace("test_one", name)
    (evidence / "tests.xml").write_text(test)
    by = [(one, "a: Then it exits"), (two, "ab: Then it exits"), (tested, f"{name}[x]")]
    results(evidence, *({"key": b.key, "verdict": "caught", "by": said} for b, said in by))
    found = conformance.collect(evidence).saboteurs
    assert [each.proves for each in found] == [["t001-01"], [], ["B2.1"]]


def test_what_the_record_has_of_a_break_that_is_the_same_stays(
    evidence: Path, breaks: list[Break]
) -> None:
    one, two, _ = breaks
    write(scenario("a"))
    kept = Broken(f"{one.group}/{one.name}", True, [], "a step", one.key)
    changed = Broken(f"{two.group}/{two.name}", True, [], "a step", "another key")
    conformance.RECORD.parent.mkdir()
    conformance.RECORD.write_text(conformance.text(Record(saboteurs=[kept, changed])))
    assert conformance.collect(evidence).saboteurs == [kept]


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
