"""A change of a loaded model's files is seen, whatever it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rbee.gguf.file_changes import Change, FileChanges


def overwrite(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"other content")
    shutil.copy(other, file)


def truncate(file: Path) -> None:
    os.truncate(file, 1)


def touch(file: Path) -> None:
    os.utime(file, ns=(0, 1))


def same_size(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"C")


def move_over(file: Path) -> None:
    """Even if it looks the same."""
    other = file.with_name("other")
    shutil.copy2(file, other)
    other.rename(file)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"m-{part}.gguf" for part in (1, 2)]
    for file in found:
        file.write_bytes(b"content")
        os.utime(file, ns=(0, 0))
    return found


def test_files_that_were_only_read_have_not_changed(files: list[Path]) -> None:
    changes = FileChanges(files)
    files[0].read_bytes()
    assert changes.find() is None


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize(
    ("change", "in_place"),
    [(overwrite, True), (truncate, True), (touch, True), (same_size, True), (move_over, False)],
)
def test_a_change_of_any_part_is_found(
    files: list[Path], change: Callable[[Path], None], in_place: bool, part: int
) -> None:
    changes = FileChanges(files)
    change(files[part])
    assert changes.find() == Change(files[part], in_place)


def test_a_link_that_points_elsewhere_has_changed(files: list[Path], tmp_path: Path) -> None:
    """As in the Hub's cache, whose names are links."""
    link = tmp_path / "link.gguf"
    link.symlink_to(files[0])
    changes = FileChanges([link])
    link.unlink()
    link.symlink_to(files[1])
    assert changes.find() == Change(link, in_place=False)


def test_a_file_that_is_gone_stays_what_was_mapped(files: list[Path]) -> None:
    changes = FileChanges(files)
    files[0].unlink()
    assert changes.find() is None
