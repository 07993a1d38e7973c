"""What is read of processes, memory and cores is what psutil tells."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rbee.runtime import kernel

NOBODY = 2**22 + 1  # beyond the largest pid that Linux gives
# With a folder that is not there, as on a system that is not Linux.
FOLDERS = [Path("/proc"), Path("/nowhere")]
# The system call that ends one thread.
_EXIT = {"x86_64": 60, "aarch64": 93, "riscv64": 93}.get(platform.machine())


@pytest.fixture
def asleep() -> Iterator[int]:
    """A process whose figures stay as they are."""
    with subprocess.Popen(["sleep", "60"]) as process:
        while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
            os.sched_yield()
        yield process.pid
        process.kill()


@pytest.mark.parametrize("proc", FOLDERS)
def test_a_process_began_when_psutil_says(proc: Path, asleep: int) -> None:
    assert kernel.started(asleep, proc) == psutil.Process(asleep).create_time()
    assert kernel.started(os.getpid(), proc) == psutil.Process().create_time()


def test_the_name_of_a_process_is_not_taken_for_its_figures(tmp_path: Path) -> None:
    odd = tmp_path / "a ) Z 1 2 3"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as process:
        began = kernel.started(process.pid)
        process.kill()
    assert began == pytest.approx(psutil.Process().create_time(), abs=3600)


@pytest.mark.parametrize("proc", FOLDERS)
def test_one_that_is_not_there_never_began(proc: Path) -> None:
    assert kernel.started(NOBODY, proc) is None
    assert kernel.resident_bytes(NOBODY, proc) == 0


@pytest.mark.parametrize("proc", FOLDERS)
def test_one_of_which_only_the_exit_code_is_left_is_not_there(proc: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert kernel.started(process.pid, proc) is None


@pytest.mark.skipif(
    sys.platform != "linux" or _EXIT is None, reason="the first thread can't be ended alone here"
)
@pytest.mark.parametrize("proc", FOLDERS)
def test_one_whose_first_thread_has_ended_before_another_is_still_there(proc: Path) -> None:
    """As a process is for a moment while it is ended: the last thread closes its files."""
    leave = f"import ctypes; ctypes.CDLL(None).syscall({_EXIT}, 0)"
    code = (
        f"import threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); {leave}"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        told = psutil.Process(process.pid)
        try:
            deadline = time.monotonic() + 10
            while told.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
                time.sleep(0.01)
            assert told.status() == psutil.STATUS_ZOMBIE
            assert kernel.started(process.pid, proc) == told.create_time()
            assert not kernel.is_over(told)
        finally:
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert kernel.started(process.pid, proc) is None
        assert kernel.is_over(told)


@pytest.mark.parametrize("proc", FOLDERS)
def test_its_resident_memory_is_what_psutil_says(proc: Path, asleep: int) -> None:
    assert kernel.resident_bytes(asleep, proc) == psutil.Process(asleep).memory_info().rss > 0


@pytest.mark.parametrize("proc", FOLDERS)
def test_the_machine_has_the_memory_that_psutil_says(proc: Path) -> None:
    total, available = kernel.main_memory(proc)
    assert total == psutil.virtual_memory().total
    assert 0 < available <= total


def test_memory_that_an_old_kernel_does_not_tell_is_asked_of_psutil(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  8 kB\nMemFree:  4 kB\n")
    assert kernel.main_memory(tmp_path)[0] == psutil.virtual_memory().total


@pytest.mark.parametrize("folder", [Path("/sys/devices/system/cpu"), Path("/nowhere")])
def test_the_machine_has_as_many_cores_as_psutil_says(folder: Path) -> None:
    assert kernel.cores(folder) == (psutil.cpu_count(logical=False) or psutil.cpu_count())


def test_two_threads_of_a_core_are_one_core(tmp_path: Path) -> None:
    for number, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        topology = tmp_path / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{siblings}\n")
    (tmp_path / "cpufreq").mkdir()
    assert kernel.cores(tmp_path) == 2
