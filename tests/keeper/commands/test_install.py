"""`rbee-keeper install` when something is in the way."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Keeper = Callable[..., Any]


def advised(told: str) -> list[str]:
    """The words of the command that moves something away."""
    [line] = [line for line in told.splitlines() if "Move it away" in line]
    return shlex.split(line.partition("again: ")[2])


def test_an_empty_root_is_wrong_usage(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = keeper("install", "--system", "--root", "")
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_config_file_must_be_a_file(keeper: Keeper, home: Path, kind: str) -> None:
    file = home / ".config" / "rbee" / "config.toml"
    file.parent.mkdir(parents=True)
    if kind == "link":
        file.symlink_to(home / "gone")
    else:
        file.mkdir()
    result = keeper("install")
    assert result.exit_code == 1
    assert "as it is" not in result.output
    assert advised(result.output) == ["mv", str(file), f"{file}.old"]
    file.rename(f"{file}.old")
    assert keeper("install").exit_code == 0


@pytest.mark.parametrize("place", [".rbee", ".config", ".local"])
def test_a_file_in_place_of_a_folder_is_named(keeper: Keeper, home: Path, place: str) -> None:
    (home / place).touch()
    result = keeper("install")
    assert result.exit_code == 1
    assert f"{home / place} must be a folder" in result.output
    assert advised(result.output) == ["mv", str(home / place), f"{home / place}.old"]


def test_the_command_that_shares_the_models_is_shown(keeper: Keeper, tmp_path: Path) -> None:
    result = keeper("install", "--system", "--root", str(tmp_path / "image"))
    assert result.exit_code == 0
    assert "sudo chgrp -R rbee /var/lib/rbee/models" in result.output
    assert "chown" not in result.output
