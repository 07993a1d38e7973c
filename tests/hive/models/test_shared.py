"""Folders for models, which several people of a machine may fill."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rbee.hive.models import shared


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_below_a_folder_that_a_group_shares_the_group_may_write(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    models.chmod(0o2775)
    shared.folder(models / "lab" / "small")
    assert [mode(each) for each in (models / "lab", models / "lab" / "small")] == [0o2775] * 2


@pytest.mark.parametrize("above", [0o755, 0o775])
def test_elsewhere_the_umask_counts(tmp_path: Path, above: int) -> None:
    tmp_path.chmod(above)
    plain = tmp_path / "plain"
    plain.mkdir()
    shared.folder(tmp_path / "lab" / "small")
    assert mode(tmp_path / "lab" / "small") == mode(plain)


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "lab").touch()
    with pytest.raises(FileExistsError):
        shared.folder(tmp_path / "lab")
