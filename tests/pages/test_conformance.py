"""Each number of the specification has a proof, and what counts as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages import conformance

ROOT = Path(__file__).parent.parent.parent
SCENARIOS = conformance.scenarios_in(ROOT / "features")
TESTS = conformance.tests_in(ROOT / "tests")
SENTENCES = conformance.behaviours(ROOT / "docs" / "reference" / "behaviours.md")
COUNTS = [5, 4, 5, 4, 5, 5, 3, 3, 3, 3, 5]


def test_each_of_the_sixty_two_has_a_scenario() -> None:
    assert len(conformance.SCENARIOS) == 62
    assert conformance.missing(conformance.SCENARIOS, SCENARIOS) == []


def test_the_forty_five_are_all_written_out() -> None:
    numbers = [f"B{part}.{i + 1}" for part, n in enumerate(COUNTS, 1) for i in range(n)]
    assert list(SENTENCES) == numbers
    assert len(numbers) == 45
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


def test_each_of_the_forty_five_is_proven() -> None:
    assert conformance.missing(list(SENTENCES), SCENARIOS + TESTS) == []


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
    one, outline = conformance.scenarios_in(tmp_path)
    assert (one.name, one.numbers, one.tags) == ("One", {"t001-01", "B1.1"}, ("critical",))
    assert (outline.name, outline.numbers) == ("<which>", {"t001-02", "B1.1"})
    assert conformance.missing(["t001-01", "t001-03"], [one, outline]) == ["t001-03"]


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
    assert [each.numbers for each in conformance.tests_in(tmp_path)] == (
        [numbers] if numbers else []
    )
