"""The end of a program: its exit code and its output, and nothing in between."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from pathlib import Path
from rbee.runtime.leave import leave_after

class Leftover:
    def __del__(self):
        print("destroyed")

leftover = Leftover()

def work():
    print("the last line", end="")
    {ending}

leave_after(work)
print("after the end")
"""


def ran(ending: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PROGRAM.format(ending=ending)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("return", 0),
        ("sys.exit()", 0),
        ("sys.exit(0)", 0),
        ("sys.exit(130)", 130),
        ("raise KeyboardInterrupt", 130),
    ],
)
def test_it_ends_at_once_with_its_code_and_all_of_its_output(ending: str, code: int) -> None:
    done = ran(ending)
    assert (done.returncode, done.stdout, done.stderr) == (code, "the last line", "")


def test_a_full_disk_behind_standard_output_is_told() -> None:
    """It shows when the last line leaves the buffer."""
    command = [sys.executable, "-c", _PROGRAM.format(ending="return")]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    told = "Standard output can't be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_a_reason_for_the_end_is_shown() -> None:
    done = ran("sys.exit('no such machine')")
    assert (done.returncode, done.stderr) == (1, "no such machine\n")


def test_a_fault_is_not_hidden() -> None:
    done = ran("raise ValueError('bad')")
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: bad\n")
