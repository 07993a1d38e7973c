"""The text of an answer that broke off: kept for its person alone, over nothing of theirs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from rbee.keeper.chat import partial_answer as partial


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_text_is_kept_under_the_requests_name(folder: Path) -> None:
    path = partial.save("r-1", "Es wär einmal\n🐝")
    assert path == folder / "rbee-partial-r-1.txt"
    assert path.read_text(encoding="utf-8") == "Es wär einmal\n🐝"


def test_only_its_owner_can_read_it(folder: Path) -> None:
    path = partial.save("r-1", "words")
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_not_kept(folder: Path) -> None:
    assert partial.save("r-1", "") is None
    assert list(folder.iterdir()) == []


def test_a_file_that_is_there_is_never_written_over(folder: Path) -> None:
    (folder / "rbee-partial-r-1.txt").write_text("of somebody else")
    assert partial.save("r-1", "words") is None
    assert (folder / "rbee-partial-r-1.txt").read_text() == "of somebody else"


def test_a_link_that_somebody_laid_is_not_followed(folder: Path) -> None:
    (folder / "rbee-partial-r-1.txt").symlink_to(folder / "precious")
    assert partial.save("r-1", "words") is None
    assert not (folder / "precious").exists()


def test_where_there_is_no_place_nothing_is_kept_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert partial.save("r-1", "words") is None
