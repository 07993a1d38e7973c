"""This machine as the kernel has it: what the programs say of it is compared with this."""

import os
import socket
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

import psutil

from harness.world.waiting import let_pass

_NOTED_EACH_S, _NOTED_FOR_S = 0.1, 120
_BETWEEN_NOTES = 300_000_000
_free: deque[int] = deque(maxlen=int(_NOTED_FOR_S / _NOTED_EACH_S))


def memory_total_bytes() -> int:
    return int(psutil.virtual_memory().total)


def memory_free_bytes() -> int:
    """Return what can be had without swapping."""
    return int(psutil.virtual_memory().available)


def installed_version(python: str, distribution: str) -> str:
    """Return the version that this Python imports."""
    ask = f"from importlib.metadata import version; print(version({distribution!r}))"
    run = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def watch_free_memory() -> None:
    """Note from now on what is free, for `free_range`."""
    threading.Thread(target=_note_free_memory, daemon=True).start()


def _note_free_memory() -> None:
    while True:
        _free.append(memory_free_bytes())
        let_pass(_NOTED_EACH_S)


def free_range() -> tuple[float, float]:
    """Return the least and the most that a program may have found free, in bytes.

    Other programs take and give back memory, so that is what was free in the last two minutes, and
    some more for what happens between two looks; but it is never all the memory.
    """
    seen = [*_free, memory_free_bytes()]
    return min(seen) - _BETWEEN_NOTES, min(max(seen) + _BETWEEN_NOTES, 0.995 * memory_total_bytes())


def assert_free(found_bytes: float) -> None:
    least, most = free_range()
    assert least <= found_bytes <= most, (least, found_bytes, most)


def disk_free_bytes(folder: Path) -> int:
    """Return what a user may still write to the disk that holds the folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def disk_total_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize


def host_name() -> str:
    return socket.gethostname()


def unix_time() -> float:
    return time.time()
