"""`queen-rbee daemon --with-hive`: a hive is got ready beside the queen, and ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

QUEEN = str(Path(sys.executable).with_name("queen-rbee"))

HIVE = """
import os, sys
from pathlib import Path
Path(sys.argv[1]).write_text(f"{os.getpid()} {sys.argv[2:]}")
sys.stdin.read()
"""


class Queen:
    """A queen of its own port, whose hive is a program that says that it was started."""

    def __init__(self, folder: Path, *flags: str) -> None:
        program, self.said = folder / "hive.py", folder / "said"
        program.write_text(HIVE)
        command = f"{sys.executable} {program} {self.said}"
        self.process = subprocess.Popen(
            [QUEEN, "daemon", "--port", "0", *flags],
            env={**os.environ, "RBEE_HIVE_COMMAND": command, "RBEE_HIVE_PORT": "9333"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        assert b"listening" in self.process.stdout.readline()

    def hive(self) -> psutil.Process:
        """Wait for it."""
        deadline = time.monotonic() + 10
        while not self.said.exists() or not self.said.read_text():
            assert time.monotonic() < deadline, "no hive was started"
            time.sleep(0.02)
        return psutil.Process(int(self.said.read_text().split()[0]))

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_a_child_of_the_queen_and_ends_with_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    queen = Queen(tmp_path, "--with-hive")
    hive = queen.hive()
    assert hive.ppid() == queen.process.pid
    arguments = queen.said.read_text().partition(" ")[2]
    assert arguments == str(["daemon", "--lifeline", "--host", "127.0.0.1", "--port", "9333"])
    queen.end(number)
    psutil.wait_procs([hive], 5)
    assert not hive.is_running() or hive.status() == psutil.STATUS_ZOMBIE


def test_without_the_flag_there_is_none(tmp_path: Path) -> None:
    queen = Queen(tmp_path)
    time.sleep(0.5)
    assert not queen.said.exists()
    queen.end(signal.SIGTERM)
