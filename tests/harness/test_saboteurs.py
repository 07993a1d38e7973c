"""The breaks fit the code and the features, or nobody would notice that one breaks nothing."""

import shutil
from functools import cache
from pathlib import Path

import pytest
from behave.parser import parse_file

from harness.saboteurs import canaries
from harness.saboteurs.breaks import TREE, Break, load

ALL = load()


@cache
def scenarios_in(path: Path) -> dict[str, set[str]]:
    """The scenarios of a feature, or of a folder of features: their tags by their names."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    features = [parse_file(str(file)) for file in files]
    return {
        each.name: {str(tag) for tag in each.effective_tags}
        for feature in features
        if feature
        for each in feature.walk_scenarios()
    }


def carried(each: Break) -> set[str]:
    """The tags of the scenarios that should see it."""
    tags: set[str] = set()
    for path in () if each.is_for_tests else each.features:
        for name, of_it in scenarios_in(TREE / path).items():
            if not each.scenarios or name.startswith(tuple(each.scenarios)):
                tags |= of_it
    return tags


def test_each_of_the_sixty_two_has_a_break_that_its_own_scenario_should_see() -> None:
    aimed = {number for each in ALL for number in each.proves if number in carried(each)}
    assert [f"t001-{n:02}" for n in range(1, 63) if f"t001-{n:02}" not in aimed] == []


@pytest.mark.parametrize("each", ALL, ids=lambda each: f"{each.group}/{each.name}")
def test_a_break_can_be_applied(each: Break, tmp_path: Path) -> None:
    copy = tmp_path / each.file
    copy.parent.mkdir(parents=True)
    shutil.copy(TREE / each.file, copy)
    each.apply(tmp_path)
    assert copy.read_text() != (TREE / each.file).read_text()
    if copy.suffix == ".py":
        compile(copy.read_text(), str(copy), "exec")


@pytest.mark.parametrize("each", ALL, ids=lambda each: f"{each.group}/{each.name}")
def test_the_scenarios_that_should_see_it_exist(each: Break) -> None:
    if each.is_for_tests:
        functions = "".join((TREE / name).read_text() for name in each.features)
        assert each.scenarios
        assert all(f"def {name}(" in functions for name in each.scenarios)
        return
    names = [name for path in each.features for name in scenarios_in(TREE / path)]
    assert names
    for beginning in each.scenarios:
        assert any(name.startswith(beginning) for name in names), beginning


def test_each_reason_for_a_canary_names_a_canary_and_scenarios() -> None:
    places = list(canaries.scenarios(TREE / "features"))
    for row in canaries.reasons():
        assert row["canary"] in {each.name for each in canaries.CANARIES}, row
        for name in row["scenarios"]:
            assert any(place.is_of({**row, "scenarios": [name]}) for place in places), name
        assert row["reason"], row
