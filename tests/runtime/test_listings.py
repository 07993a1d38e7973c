"""Listings as plain text, the same from every program."""

from __future__ import annotations

import pytest

from rbee.contract.models import ModelDetails, ModelRow, Offered
from rbee.runtime.listings import described, megabytes, model_cells, table, usage

MB = 1_000_000


def row(reference: str, size: int, **changed: object) -> ModelRow:
    known: dict[str, object] = {
        "id": 1,
        "provider": "hf",
        "reference": reference,
        "local_path": "/m.gguf",
        "size_bytes": size * MB,
        "downloaded_at_unix": 1,
        "quantization": "Q8_0",
        "sha256": None,
        "bytes_downloaded": size * MB,
    }
    return ModelRow(**{**known, **changed})  # type: ignore[arg-type]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    told = table(("A", "LONG", "C"), [("aaa", "b", "c"), ("a", "b b", "cc")])
    assert told.splitlines() == ["A    LONG  C", "aaa  b     c", "a    b b   cc"]


def test_no_line_ends_in_spaces() -> None:
    assert table(("A", "B"), [("a", ""), ("a", "long")]).splitlines() == ["A  B", "a", "a  long"]


def test_a_table_without_rows_is_its_heads() -> None:
    assert table(("SIZE", "REFERENCE"), []) == "SIZE  REFERENCE"


def test_a_row_that_lacks_a_cell_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="shorter"):
        table(("A", "B"), [("a",)])


@pytest.mark.parametrize(
    ("size", "text"),
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
def test_sizes_are_told_as_people_count_them(size: int, text: str) -> None:
    assert megabytes(size) == text


def test_a_model_that_is_ready_has_its_size_and_its_state() -> None:
    assert model_cells(row("hf:a/b/c.gguf", 98)) == ("hf:a/b/c.gguf", "Q8_0", "98 MB", "ready")


def test_one_that_is_not_whole_is_told_with_how_much_is_there() -> None:
    partial = row("r", 100, state="partial", bytes_downloaded=25 * MB, quantization=None)
    assert model_cells(partial) == ("r", "unknown", "100 MB", "partial, 25 %")
    unknown = row("r", 0, state="partial")
    assert model_cells(unknown)[2:] == ("unknown", "partial")


def test_disk_usage_has_the_largest_first_and_all_at_the_end() -> None:
    lines = usage([row("small", 20), row("large", 30)]).splitlines()
    assert [line.split("  ")[-1].strip() for line in lines] == [
        "REFERENCE",
        "large",
        "small",
        "total",
    ]
    assert lines[-1].startswith("50 MB")


def test_a_model_is_described_line_by_line() -> None:
    found = ModelDetails(
        reference="hf:a/b/c.gguf",
        state="not on this node",
        size_bytes=98 * MB,
        local_path=None,
        sha256=None,
        architecture="llama",
        quantization=None,
        layers=30,
        context_length=8192,
        vocabulary_size=49152,
        required_bytes=287 * MB,
        memory_total_bytes=32_000 * MB,
        memory_free_bytes=500 * MB,
        offered=[
            Offered("hf:a/b:Q2_K", "Q2_K", 20 * MB, True),
            Offered("hf:a/b", None, 99_000 * MB, False),
        ],
    )
    lines = described(found, "rbee-hive models verify").splitlines()
    assert "sha256: unknown; rbee-hive models verify finds it" in lines
    assert "memory needed: 287 MB (500 MB of 32.0 GB are free)" in lines
    assert "path: none" in lines
    assert lines[-2:] == ["Q2_K          20 MB    yes", "unknown       99.0 GB  no"]


def test_a_name_with_a_blank_stands_in_a_table_as_a_command_takes_it() -> None:
    """So that awk finds the columns behind it."""
    blank, plain = "hf:o/r/n%C3%A9%20%231.gguf", "hf:o/r/n%C3%A9%231.gguf"
    assert [model_cells(row(each, 15))[0] for each in (blank, plain)] == [blank, "hf:o/r/né#1.gguf"]
    listed = [line.split()[-1] for line in usage([row(blank, 15), row(plain, 14)]).splitlines()]
    assert listed == ["REFERENCE", blank, "hf:o/r/né#1.gguf", "total"]
