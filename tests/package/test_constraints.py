"""constraints.txt fixes the versions with which tox checks."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHECKED = ["demo", "test", "docs"]
NEEDED = [
    *PROJECT["dependencies"],
    *(line for extra in CHECKED for line in PROJECT["optional-dependencies"][extra]),
]


def _fixed() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(each.name): each for each in found}


@pytest.mark.parametrize("line", NEEDED)
def test_each_dependency_has_one_version_that_the_package_allows(line: str) -> None:
    needed = Requirement(line)
    (fixed,) = _fixed()[canonicalize_name(needed.name)].specifier
    assert fixed.operator == "=="
    assert needed.specifier.contains(fixed.version, prereleases=True)
