"""The hive of this machine, started ahead or not."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from rbee.contract.config import Config, HiveSection
from rbee.contract.errors import ProgramFailed
from rbee.queen.nodes.local_hive import LocalHive

HIVE = """
import os, sys
from pathlib import Path
with Path(__file__).with_name("pids").open("a") as pids:
    print(os.getpid(), file=pids)
sys.stdin.read()
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    program = tmp_path / "hive.py"
    program.write_text(HIVE)
    return Config(hive=HiveSection(command=f"{sys.executable} {program}", port=9333))


def started(folder: Path) -> psutil.Process:
    """The first one, once it runs."""
    pids, deadline = folder / "pids", time.monotonic() + 20
    while not pids.exists() or not pids.read_text().endswith("\n"):
        assert time.monotonic() < deadline, "none was started"
        time.sleep(0.01)
    return psutil.Process(int(pids.read_text().split()[0]))


def test_what_was_prepared_is_taken_once(config: Config) -> None:
    hive = LocalHive(config)
    hive.prepare()
    first, second = hive.take(9333), hive.take(9333)
    assert first.pid != second.pid
    assert first.command == second.command
    assert first.command[2:] == [
        "daemon", "--lifeline", "--host", "127.0.0.1", "--port", "9333"
    ]  # fmt: skip
    hive.close()
    assert first.is_running and second.is_running
    first.discard()
    second.discard()


def test_for_another_port_another_one_is_started_and_the_first_is_not_left(
    config: Config, tmp_path: Path
) -> None:
    hive = LocalHive(config)
    hive.prepare()
    prepared = started(tmp_path)
    taken = hive.take(0)
    assert taken.command[-1] == "0"
    assert not prepared.is_running()
    taken.discard()


def test_what_was_not_taken_ends(config: Config, tmp_path: Path) -> None:
    hive = LocalHive(config)
    hive.prepare()
    prepared = started(tmp_path)
    hive.close()
    assert not prepared.is_running()


def test_one_that_has_ended_meanwhile_is_started_again(config: Config, tmp_path: Path) -> None:
    hive = LocalHive(config)
    hive.prepare()
    prepared = started(tmp_path)
    prepared.kill()
    psutil.wait_procs([prepared], 5)
    taken = hive.take(9333)
    assert taken.is_running and taken.pid != prepared.pid
    taken.discard()


def test_a_program_that_is_not_there_is_reported_when_it_is_needed() -> None:
    hive = LocalHive(Config(hive=HiveSection(command="/nowhere/rbee-hive")))
    hive.prepare()
    with pytest.raises(ProgramFailed, match="/nowhere/rbee-hive"):
        hive.take(9200)
