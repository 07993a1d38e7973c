"""This machine as the kernel has it: what the programs say of it is compared with this."""

import os
import socket
import time
from pathlib import Path


def _memory(name: str) -> int:
    """As Linux has it."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        field, _, value = line.partition(":")
        if field == name:
            return int(value.removesuffix("kB")) * 1024
    raise AssertionError(f"/proc/meminfo has no {name}")


def memory_total_bytes() -> int:
    return _memory("MemTotal")


def memory_free_bytes() -> int:
    """Return what can be had without swapping."""
    return _memory("MemAvailable")


def assert_free(found_bytes: float) -> None:
    """Compare with what is free now. Other programs use memory too, so it is roughly the same; but
    it is never all the memory."""
    free, total = memory_free_bytes(), memory_total_bytes()
    assert abs(found_bytes - free) < 0.1 * total, (found_bytes, free)
    assert found_bytes < 0.995 * total, (found_bytes, total)


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
