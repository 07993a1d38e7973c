"""Signals that a process was sent, as the kernel keeps them: one that stands still gets none."""

import signal
import time
from pathlib import Path

import psutil

from harness.world.processes import alive
from harness.world.waiting import wait_until


def is_told_to_end(process: psutil.Process) -> bool:
    """Whether SIGTERM waits for it, or it is gone already."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return True
    waiting = 0
    for line in lines:
        name, _, value = line.partition(":")
        if name in ("SigPnd", "ShdPnd"):
            waiting |= int(value, 16)
    return bool(waiting >> (signal.SIGTERM - 1) & 1) or not alive(process)


def wait_until_told_to_end(process: psutil.Process, within: float) -> float:
    """The moment, on the clock by which events are stamped."""
    wait_until(f"pid {process.pid} to be told to end", lambda: is_told_to_end(process), within)
    return time.monotonic()


def kill(process: psutil.Process) -> float:
    """SIGKILL; the moment just before it, on the same clock."""
    moment = time.monotonic()
    process.send_signal(signal.SIGKILL)
    return moment
