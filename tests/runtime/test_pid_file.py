"""Who runs here: a reused pid is seen through, and nobody removes another's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rbee.contract.daemons import PidFile
from rbee.contract.errors import StateNotWritable
from rbee.runtime import kernel, pid_file


@pytest.fixture
def me() -> PidFile:
    since = kernel.started(os.getpid())
    assert since is not None
    return PidFile("queen-rbee", os.getpid(), since, "http://127.0.0.1:8080")


def with_start(content: PidFile, started: float) -> PidFile:
    return PidFile(content.program, content.pid, started, content.url)


NOBODY = 2**22 + 1  # beyond the largest pid that Linux gives


def test_a_process_that_runs_is_read(tmp_path: Path, me: PidFile) -> None:
    pid_file.write(tmp_path / "queen.pid", me)
    assert pid_file.read(tmp_path / "queen.pid") == me


def test_no_draft_is_left_behind(tmp_path: Path, me: PidFile) -> None:
    pid_file.write(tmp_path / "queen.pid", me)
    assert [file.name for file in tmp_path.iterdir()] == ["queen.pid"]


def test_a_pid_that_is_gone_is_nobody(tmp_path: Path) -> None:
    pid_file.write(tmp_path / "queen.pid", PidFile("queen-rbee", NOBODY, 1.0, "http://h:1"))
    assert pid_file.read(tmp_path / "queen.pid") is None


def test_a_pid_that_another_process_got_is_nobody(tmp_path: Path, me: PidFile) -> None:
    pid_file.write(tmp_path / "queen.pid", with_start(me, me.started - 60))
    assert pid_file.read(tmp_path / "queen.pid") is None


@pytest.mark.parametrize("content", [b"", b"{", b"1234\n", b'{"program":"x","pid":"1"}'])
def test_a_file_that_is_none_of_ours_is_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "queen.pid").write_bytes(content)
    assert pid_file.read(tmp_path / "queen.pid") is None
    pid_file.remove(tmp_path / "queen.pid", os.getpid())
    assert (tmp_path / "queen.pid").read_bytes() == content


def test_no_file_is_nobody(tmp_path: Path) -> None:
    assert pid_file.read(tmp_path / "queen.pid") is None
    pid_file.remove(tmp_path / "queen.pid", os.getpid())


def test_a_program_removes_its_own_file(tmp_path: Path, me: PidFile) -> None:
    pid_file.write(tmp_path / "queen.pid", me)
    pid_file.remove(tmp_path / "queen.pid", me.pid)
    assert not (tmp_path / "queen.pid").exists()


def test_a_program_leaves_the_file_of_its_successor(tmp_path: Path, me: PidFile) -> None:
    pid_file.write(tmp_path / "queen.pid", me)
    pid_file.remove(tmp_path / "queen.pid", me.pid + 1)
    assert pid_file.read(tmp_path / "queen.pid") == me


def test_a_file_that_can_not_be_written_is_told(tmp_path: Path, me: PidFile) -> None:
    with pytest.raises(StateNotWritable) as caught:
        pid_file.write(tmp_path / "none" / "queen.pid", me)
    assert caught.value.details["path"] == str(tmp_path / "none" / "queen.pid")


def test_nobody_started_under_a_pid_that_there_is_not() -> None:
    assert kernel.started(NOBODY) is None


def test_the_start_tells_whether_a_process_still_runs(me: PidFile) -> None:
    assert pid_file.is_running(me.pid, me.started)
    assert not pid_file.is_running(me.pid, me.started + 5)
    assert not pid_file.is_running(NOBODY, me.started)
