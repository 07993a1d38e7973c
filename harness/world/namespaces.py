"""Linux network namespaces, by name, as `ip netns` makes them."""

import ctypes
import os
from pathlib import Path

_CLONE_NEWNET = 0x40000000  # linux/sched.h


def enter(name: str | None) -> None:
    """The calling thread, and what it starts from now on, is in that namespace. None: stay.

    os.setns came with Python 3.12 only.
    """
    if name is None:
        return
    descriptor = os.open(Path("/run/netns") / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)
    finally:
        os.close(descriptor)
