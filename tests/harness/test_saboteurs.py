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
def scenarios_in(path: Path) -> list[str]:
    """The names of all scenarios of a feature, or of a folder of features."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    features = [parse_file(str(file)) for file in files]
    return [each.name for feature in features if feature for each in feature.walk_scenarios()]


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
