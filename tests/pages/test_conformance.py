"""Each number of the specification has a proof, and what counts as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.conformance import Broken, Ran, Record
from pages import conformance, proofs

ROOT = Path(__file__).parent.parent.parent
SCENARIOS = proofs.scenarios_in(ROOT / "features")
TESTS = proofs.tests_in(ROOT / "tests")
SENTENCES = conformance.behaviours(ROOT / "docs" / "reference" / "behaviours.md")
COUNTS = [5, 4, 5, 4, 5, 5, 3, 3, 3, 3, 5]


def test_each_of_the_sixty_two_has_a_scenario() -> None:
    assert len(conformance.SCENARIOS) == 62
    assert proofs.missing(conformance.SCENARIOS, SCENARIOS) == []


def test_the_forty_five_are_all_written_out() -> None:
    numbers = [f"B{part}.{i + 1}" for part, n in enumerate(COUNTS, 1) for i in range(n)]
    assert list(SENTENCES) == numbers
    assert len(numbers) == 45
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


def test_each_of_the_forty_five_is_proven() -> None:
    assert proofs.missing(list(SENTENCES), SCENARIOS + TESTS) == []


def test_no_proof_carries_a_number_that_there_is_not() -> None:
    known = {*conformance.SCENARIOS, *SENTENCES}
    unknown = {each.name: each.numbers - known for each in SCENARIOS + TESTS}
    assert {name: numbers for name, numbers in unknown.items() if numbers} == {}


def test_no_proof_is_skipped() -> None:
    off = {"skip", "wip"}
    assert [each.name for each in SCENARIOS if each.numbers and off & set(each.tags)] == []


FEATURE = """@B1.1
Feature: Things
  @t001-01 @critical
  Scenario: One
    Given a step
  @beyond
  Scenario Outline: <which>
    Given a step
    @t001-02
    Examples:
      | which |
      | this  |
"""


def test_a_scenario_has_the_tags_of_its_feature_and_of_its_examples(tmp_path: Path) -> None:
    (tmp_path / "a.feature").write_text(FEATURE, encoding="utf-8")
    one, outline = proofs.scenarios_in(tmp_path)
    assert (one.name, one.numbers, one.tags) == ("One", {"t001-01", "B1.1"}, ("critical",))
    assert (outline.name, outline.numbers) == ("<which>", {"t001-02", "B1.1"})
    assert proofs.missing(["t001-01", "t001-03"], [one, outline]) == ["t001-03"]


@pytest.mark.parametrize(
    ("source", "numbers"),
    [
        ('@pytest.mark.behaviour("B2.1")\ndef test_a(): ...', {"B2.1"}),
        ('@pytest.mark.behaviour("B2.1", "B2.2")\nasync def test_a(): ...', {"B2.1", "B2.2"}),
        ('@pytest.mark.other("B2.1")\ndef test_a(): ...', None),
        ('"B2.1"\ndef test_a(): ...', None),
    ],
)
def test_a_test_counts_by_its_marker(tmp_path: Path, source: str, numbers: set[str] | None) -> None:
    (tmp_path / "test_it.py").write_text(source, encoding="utf-8")
    assert [each.numbers for each in proofs.tests_in(tmp_path)] == ([numbers] if numbers else [])


def found(folder: Path, text: str = FEATURE) -> list[proofs.Proof]:
    (folder / "a.feature").write_text(text, encoding="utf-8")
    return proofs.scenarios_in(folder)


def record(scenarios: list[proofs.Proof], **changed: str | bool) -> Record:
    """A run in which all of them passed, but for what is changed in the first."""
    rows = [
        {
            "file": "a.feature",
            "name": row.name,
            "result": "passed",
            "fingerprint": row.fingerprint,
        }
        for each in scenarios
        for row in each.rows
    ]
    rows[0] |= changed
    return Record({"commit": "1"}, [Ran(**row) for row in rows])


def against(number: str, folder: Path, scenarios: list[proofs.Proof], ran: Record) -> list[str]:
    return conformance.Verdicts(ran, folder).against(number, scenarios)


def test_a_number_is_proven_if_all_that_carries_it_passed(tmp_path: Path) -> None:
    scenarios = found(tmp_path)
    assert against("t001-01", tmp_path, scenarios, record(scenarios)) == []
    assert against("t001-02", tmp_path, scenarios, record(scenarios)) == []
    twice = record(scenarios, twice=True)
    assert against("t001-01", tmp_path, scenarios, twice) == []
    assert conformance.Verdicts(twice, tmp_path).of(scenarios[0]) == {conformance.TWICE: 1}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"result": "failed"}, "failed"),
        ({"result": "failed", "twice": True}, "failed"),
        ({"result": "switched off", "why": "@gpu: no card"}, "switched off (@gpu: no card)"),
        ({"fingerprint": "other steps"}, "changed since"),
        ({"name": "another name"}, "not run"),
        ({"file": "b.feature"}, "not run"),
    ],
)
def test_a_number_is_not_proven(tmp_path: Path, changed: dict[str, str], why: str) -> None:
    scenarios = found(tmp_path)
    ran = record(scenarios, **changed)
    assert against("t001-01", tmp_path, scenarios, ran) == [why]
    assert against("t001-02", tmp_path, scenarios, ran) == []
    assert against("t001-03", tmp_path, scenarios, ran) == ["nothing carries it"]


def test_an_emptied_scenario_proves_nothing(tmp_path: Path) -> None:
    before = found(tmp_path)
    emptied = FEATURE.replace("Scenario: One\n    Given a step", "Scenario: One")
    without_rows = FEATURE.replace("      | this  |\n", "")
    ran = record(before)
    assert against("t001-01", tmp_path, found(tmp_path, emptied), ran) == ["empty"]
    assert against("t001-02", tmp_path, found(tmp_path, without_rows), ran) == ["empty"]


def test_a_changed_step_is_seen_and_a_moved_one_is_not(tmp_path: Path) -> None:
    ran = record(found(tmp_path))
    moved = FEATURE.replace("  @beyond\n", "\n\n  @beyond\n")
    changed = FEATURE.replace("    Given a step\n  @beyond", "    Given no step\n  @beyond")
    assert against("t001-02", tmp_path, found(tmp_path, moved), ran) == []
    assert against("t001-01", tmp_path, found(tmp_path, changed), ran) == ["changed since"]


def test_only_a_saboteur_that_was_caught_counts() -> None:
    ran = Record(
        saboteurs=[
            Broken("group/one", True, ["t001-01"], "somebody"),
            Broken("group/two", False, ["t001-01"]),
        ]
    )
    verdicts = conformance.Verdicts(ran, ROOT)
    assert verdicts.saboteurs("t001-01") == ["group/one"]
    assert verdicts.saboteurs("t001-02") == []


def test_no_two_scenarios_of_a_feature_have_the_same_name() -> None:
    names = [(each.file, row.name) for each in SCENARIOS for row in each.rows]
    assert [name for name in set(names) if names.count(name) > 1] == []
