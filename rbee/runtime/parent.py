"""The end of a process with the one that started it. It imports nothing that takes time."""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """On Linux, have the kernel send SIGTERM when the thread that started this process ends.

    It backs up the lifeline, for a parent whose pipe somebody else keeps open. The parent must
    have spawned this process from its main thread.
    """
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        # The parent ended between the two calls: nobody will send the signal any more.
        os.kill(os.getpid(), signal.SIGTERM)
