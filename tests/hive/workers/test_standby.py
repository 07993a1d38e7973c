"""The standby workers of a hive: how many there are, when they are replaced, and how they end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rbee.contract.config import Config, HiveSection, WorkerSection
from rbee.hive.workers.standby import Standby

WAITS = """
import sys
print(sys.argv[1:], sys.stdin.readline().strip(), flush=True)
sys.stdin.read()
"""
ENDS = """
from pathlib import Path
with Path(__file__).with_name("starts").open("a") as starts:
    starts.write("x")
"""


class Made:
    """Standby workers of a program of this test, and a clock that it moves."""

    def __init__(self, folder: Path, program: str, count: int = 1) -> None:
        file = folder / "worker.py"
        file.write_text(program)
        self.now = 0.0
        self.standby = Standby(
            Config(
                hive=HiveSection(standby_workers=count),
                worker=WorkerSection(command=f"{sys.executable} {file}"),
            ),
            lambda: self.now,
        )

    def pids(self) -> list[int]:
        return [row.pid for row in self.standby.rows()]

    def pass_time(self, seconds: float, busy: bool = False) -> None:
        for _ in range(round(seconds * 2)):
            self.now += 0.5
            self.standby.replace(busy)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    one = Made(tmp_path, WAITS)
    yield one
    one.standby.close()


def test_each_is_told_with_its_memory(made: Made) -> None:
    assert made.standby.rows() == []
    made.standby.start()
    made.standby.start()
    [row] = made.standby.rows()
    process = psutil.Process(row.pid)
    while process.cmdline()[-1:] != ["--standby"]:  # what it has until then is not its own
        time.sleep(0.01)
    before = process.memory_info().rss  # it is still starting
    [row] = made.standby.rows()
    after = process.memory_info().rss
    assert 0.2 * before < row.memory_bytes < 5 * after


def test_the_one_that_is_taken_gets_its_arguments_and_is_listed_no_more(made: Made) -> None:
    made.standby.start()
    taken = made.standby.take(["--model", "/m.gguf"])
    assert taken is not None and made.pids() == []
    assert taken.process.stdout is not None
    said = taken.process.stdout.readline().decode()
    assert said == """['--standby'] {"arguments":["--model","/m.gguf"]}\n"""
    assert made.standby.take([]) is None
    taken.discard()


def test_it_is_replaced_once_nothing_has_been_busy_for_a_while(made: Made) -> None:
    made.standby.start()
    taken = made.standby.take([])
    made.pass_time(60, busy=True)
    made.pass_time(2.5)
    assert made.pids() == []
    made.pass_time(1)
    assert len(made.pids()) == 1
    assert taken is not None
    taken.discard()


def test_one_that_was_killed_is_not_taken_but_replaced(made: Made) -> None:
    made.standby.start()
    [pid] = made.pids()
    killed = psutil.Process(pid)
    killed.kill()
    psutil.wait_procs([killed], 5)
    assert made.pids() == []
    assert made.standby.take([]) is None
    made.pass_time(4)
    assert made.pids() not in ([], [pid])


def test_one_that_ends_by_itself_is_tried_again_ever_later(tmp_path: Path) -> None:
    made = Made(tmp_path, ENDS)
    for _ in range(60):
        made.now += 1
        made.standby.replace(busy=False)
        while made.pids():
            time.sleep(0.01)
    starts = (tmp_path / "starts").read_text()
    assert 3 <= len(starts) <= 7, starts


def test_none_are_kept_where_none_are_wanted(tmp_path: Path) -> None:
    made = Made(tmp_path, WAITS, count=0)
    made.standby.start()
    made.pass_time(10)
    assert made.pids() == [] and made.standby.take([]) is None


def test_as_many_are_kept_as_are_wanted(tmp_path: Path) -> None:
    made = Made(tmp_path, WAITS, count=3)
    made.standby.start()
    assert len(set(made.pids())) == 3
    made.standby.close()


def test_none_is_left_and_none_comes_after_the_end(made: Made) -> None:
    made.standby.start()
    [pid] = made.pids()
    made.standby.close()
    assert not psutil.pid_exists(pid)
    made.pass_time(10)
    assert made.pids() == []


def test_a_program_that_is_not_there_is_no_error_here() -> None:
    config = Config(worker=WorkerSection(command="/nowhere/llm-worker-rbee"))
    standby = Standby(config)
    standby.start()
    assert standby.rows() == [] and standby.take([]) is None
