"""The end of a process with everything that it started, in whatever process group that is."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rbee.runtime import kernel

if TYPE_CHECKING:
    import psutil

_GONE_WITHIN_S, _LOOK_EVERY_S = 0.5, 0.005


def kill_tree(pid: int) -> list[psutil.Process]:
    """Kill the process group of `pid` and all descendants of `pid`, except for those of another
    user; the descendants, which may still be about to go."""
    import psutil

    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        found = [psutil.Process(pid)]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.suspend()  # so that it starts no more
        with contextlib.suppress(psutil.Error):
            found += process.children()
        with contextlib.suppress(psutil.Error):
            process.kill()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    return found[1:]


def wait_until_gone(processes: Sequence[psutil.Process]) -> None:
    """Wait until they are gone, but not for one that hangs in the kernel."""
    deadline = time.monotonic() + _GONE_WITHIN_S
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)


def _is_alive(process: psutil.Process) -> bool:
    import psutil

    with contextlib.suppress(psutil.Error):
        return process.is_running() and not kernel.is_over(process)
    return False
