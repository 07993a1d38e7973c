"""Where things are on this machine."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import pytest

from rbee.contract.errors import ConfigInvalid, ProgramFailed, StateNotWritable
from rbee.runtime import paths


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_state_is_in_a_folder_that_only_its_owner_reads(home: Path) -> None:
    assert paths.state_dir() == home / ".rbee"
    assert mode(home / ".rbee") == 0o700


def test_the_state_folder_may_be_there_already(home: Path) -> None:
    paths.state_dir()
    assert paths.state_dir() == home / ".rbee"


def test_a_pid_file_stands_beside_the_key(home: Path) -> None:
    assert paths.pid_file("queen-rbee") == home / ".rbee" / "queen-rbee.pid"


def test_logs_have_a_folder_of_their_own(home: Path) -> None:
    assert paths.log_file("queen-rbee") == home / ".rbee" / "logs" / "queen-rbee.log"
    assert (home / ".rbee" / "logs").is_dir()


def test_workers_logs_are_told_apart(home: Path) -> None:
    assert paths.log_file("llm-worker-rbee", "worker-1").name == "llm-worker-rbee-worker-1.log"


def test_models_are_kept_where_a_persons_data_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paths.models_dir() == home / ".local" / "share" / "rbee" / "models"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert paths.models_dir() == Path("/data/rbee/models")
    assert not (home / ".local").exists()


def test_a_folder_of_models_that_is_configured_goes_before(home: Path) -> None:
    assert paths.models_dir("/disk/models") == Path("/disk/models")
    assert paths.models_dir("~/models") == home / "models"


def test_the_catalog_is_part_of_the_state(home: Path) -> None:
    assert paths.catalog_db() == home / ".rbee" / "models.db"
    assert paths.catalog_db("~/other.db") == home / "other.db"


def test_a_home_that_can_not_be_written_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").touch()
    monkeypatch.setenv("HOME", str(home / "file"))
    with pytest.raises(StateNotWritable) as caught:
        paths.state_dir()
    assert caught.value.details["path"] == str(home / "file" / ".rbee")


def test_config_is_looked_for_at_home_and_then_for_all(home: Path) -> None:
    assert paths.config_candidates() == [
        home / ".config" / "rbee" / "config.toml",
        Path("/etc/rbee/config.toml"),
    ]


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the interpreter seems to be, and PATH's folder beside it, both empty."""
    (tmp_path / "python").mkdir()
    (tmp_path / "path").mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def _program(file: Path) -> str:
    file.write_text("")
    file.chmod(0o755)
    return str(file)


def test_this_installations_program_goes_before_the_paths(python: Path) -> None:
    _program(python / "path" / "rbee-hive")
    beside = _program(python / "python" / "rbee-hive")
    assert paths.program("rbee-hive") == [beside]


def test_without_one_beside_us_the_paths_program_is_taken(python: Path) -> None:
    (python / "python" / "rbee-hive").write_text("no program")
    on_path = _program(python / "path" / "rbee-hive")
    assert paths.program("rbee-hive") == [on_path]


def test_a_program_that_is_nowhere_is_named(python: Path) -> None:
    with pytest.raises(ProgramFailed, match="rbee-hive"):
        paths.program("rbee-hive")


def test_a_configured_command_goes_before_all_and_is_split_as_a_shell_does() -> None:
    words = paths.program("queen-rbee", "numactl -N 0 '/opt/my rbee/queen-rbee'")
    assert words == ["numactl", "-N", "0", "/opt/my rbee/queen-rbee"]


@pytest.mark.parametrize("command", ["queen 'rbee", " "])
def test_a_configured_command_that_can_not_be_read_is_told(command: str) -> None:
    with pytest.raises(ConfigInvalid, match="queen-rbee"):
        paths.program("queen-rbee", command)


@pytest.mark.parametrize("empty", ["", None])
def test_without_home_the_system_says_where_it_is(
    monkeypatch: pytest.MonkeyPatch, empty: str | None
) -> None:
    monkeypatch.delenv("HOME")
    if empty is not None:
        monkeypatch.setenv("HOME", empty)
    assert str(paths.home()) == pwd.getpwuid(os.getuid()).pw_dir
