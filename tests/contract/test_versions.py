"""Whether two versions may talk to each other."""

from __future__ import annotations

import pytest

from rbee.contract.errors import VersionMismatch
from rbee.contract.versions import check, is_older


@pytest.mark.parametrize("other", ["0.1.0", "0.1.9", "0.1.0.dev1"])
def test_the_same_major_and_minor_is_a_match(other: str) -> None:
    check("rbee-keeper", "0.1.2", "queen-rbee", other)


@pytest.mark.parametrize("other", ["0.2.2", "1.1.2", "0.10.2", "0"])
def test_another_major_or_minor_is_refused_with_both_versions(other: str) -> None:
    with pytest.raises(VersionMismatch) as caught:
        check("rbee-keeper", "0.1.2", "queen-rbee", other)
    assert caught.value.details == {
        "program": "rbee-keeper",
        "version": "0.1.2",
        "other_program": "queen-rbee",
        "other_version": other,
    }


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("0.1.0", "0.1.1", True),
        ("0.9.0", "0.10.0", True),
        ("0.10.0", "0.9.0", False),
        ("0.1.0", "0.1.0", False),
        ("0.1", "0.1.0", True),
        ("0.1.0.dev1", "0.1.0", False),
        ("0.1.x", "0.1.0", True),
    ],
)
def test_versions_are_ordered_by_their_numbers(version: str, than: str, older: bool) -> None:
    assert is_older(version, than) is older
