"""Programs, files and folders that are created once, or left alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rbee.keeper.install import files
from rbee.keeper.install.paths import PROGRAMS
from rbee.keeper.install.systemd import MARK


@pytest.fixture
def program(tmp_path: Path) -> Path:
    made = tmp_path / "venv" / "queen-rbee"
    made.parent.mkdir()
    made.write_text("#!/bin/sh\n")
    return made


def test_all_four_programs_of_this_installation_are_found() -> None:
    found = files.programs()
    assert tuple(found) == PROGRAMS
    assert all(os.access(path, os.X_OK) for path in found.values())


def test_a_program_is_linked_once(tmp_path: Path, program: Path) -> None:
    place = tmp_path / "bin" / "queen-rbee"
    assert files.link(program, place, str(program)) == "created"
    assert place.resolve() == program
    assert files.link(program, place, str(program)) == "present"


def test_a_file_of_the_same_name_stays(tmp_path: Path, program: Path) -> None:
    place = tmp_path / "queen-rbee"
    place.write_text("mine")
    assert files.link(program, place, str(program)) == "foreign"
    assert place.read_text() == "mine"


def test_a_link_to_another_installation_stays(tmp_path: Path, program: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    place = tmp_path / "queen-rbee"
    place.symlink_to(other)
    assert files.link(program, place, str(program)) == "foreign"
    assert place.readlink() == other


def test_a_dangling_link_is_replaced(tmp_path: Path, program: Path) -> None:
    place = tmp_path / "queen-rbee"
    place.symlink_to(tmp_path / "gone")
    assert files.link(program, place, str(program)) == "created"
    assert place.resolve() == program


def test_a_program_is_not_linked_to_itself(program: Path) -> None:
    assert files.link(program, program, str(program)) == "present"
    assert not program.is_symlink()


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a" / "config.toml"
    assert files.write_file(path, "one", 0o600) == "created"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files.write_file(path, "two", 0o600) == "present"
    assert path.read_text() == "one"


def test_a_private_folder_is_closed_also_if_it_was_open(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir(mode=0o755)
    files.make_folder(path, private=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_shared_folder_stays_shared(tmp_path: Path) -> None:
    path = tmp_path / "models"
    path.mkdir()
    path.chmod(0o775)
    files.make_folder(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o775


def test_a_unit_of_ours_is_overwritten_and_another_is_not(tmp_path: Path) -> None:
    path = tmp_path / "units" / "queen-rbee.service"
    assert files.write_unit(path, f"{MARK} 1") == "created"
    assert files.write_unit(path, f"{MARK} 1") == "present"
    assert files.write_unit(path, f"{MARK} 2") == "created"
    path.write_text("[Service]")
    assert files.write_unit(path, f"{MARK} 3") == "foreign"
    assert path.read_text() == "[Service]"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_an_obstacle_is_an_existing_folder(tmp_path: Path) -> None:
    assert files.obstacle(tmp_path / "a" / "b") is None
    closed = Path("/proc/1") if os.geteuid() else None
    if closed is not None:
        assert files.obstacle(closed / "a" / "b") == closed


def test_others_are_kept_out_by_one_closed_folder(program: Path) -> None:
    program.parent.chmod(0o700)
    assert files.closed_folder(program) is not None
