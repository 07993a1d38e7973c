"""Listings as plain text."""

from __future__ import annotations

import pytest

from rbee.keeper.core.tables import megabytes, table

MB = 1_000_000


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    told = table(("A", "LONG", "C"), [("aaa", "b", "c"), ("a", "b b", "cc")])
    assert told.splitlines() == ["A    LONG  C", "aaa  b     c", "a    b b   cc"]


def test_no_line_ends_in_spaces() -> None:
    told = table(("A", "B"), [("a", ""), ("a", "long")])
    assert told.splitlines() == ["A  B", "a", "a  long"]


def test_a_table_without_rows_is_its_heads() -> None:
    assert table(("SIZE", "REFERENCE"), []) == "SIZE  REFERENCE"


def test_a_row_that_lacks_a_cell_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="shorter"):
        table(("A", "B"), [("a",)])


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "0.0 MB"),
        (49_999, "0.0 MB"),
        (1_500_000, "1.5 MB"),
        (10 * MB - 100_000, "9.9 MB"),
        (10 * MB, "10 MB"),
        (98_362_432, "98 MB"),
        (9_999 * MB, "9999 MB"),
        (10_000 * MB, "10.0 GB"),
        (40_529_000_000, "40.5 GB"),
        (1_000_000 * MB, "1000.0 GB"),
    ],
)
def test_sizes_are_told_as_people_count_them(size: int, told: str) -> None:
    assert megabytes(size) == told
