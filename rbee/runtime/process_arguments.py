"""What `ps` shows as the arguments of this process."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_MM, _PR_SET_MM_MAP = 35, 14
_NO_EXE_FD = 0xFFFFFFFF
# The kernel reads it as long as the process lives.
_shown: list[ctypes.Array[ctypes.c_char]] = []


class _MemoryMap(ctypes.Structure):
    """struct prctl_mm_map of linux/prctl.h."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("start_code", "end_code", "start_data", "end_data")),
        *((name, ctypes.c_uint64) for name in ("start_brk", "brk", "start_stack")),
        *((name, ctypes.c_uint64) for name in ("arg_start", "arg_end", "env_start", "env_end")),
        ("auxv", ctypes.c_uint64),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    )


def show_arguments(arguments: Sequence[str]) -> None:
    """Show `arguments` after the program's name, in place of those with which it was started.

    On Linux the kernel is told where they are (prctl(2), PR_SET_MM_MAP, which needs no privilege),
    so they may have any length, and the environment in /proc stays as it is. Elsewhere, and where
    the kernel refuses it, nothing changes.
    """
    if sys.platform != "linux":
        return
    program = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    data = b"".join(os.fsencode(word) + b"\0" for word in (*program, *arguments))
    block = ctypes.create_string_buffer(data, len(data))
    start = ctypes.addressof(block)
    try:
        stat = Path("/proc/self/stat").read_text()
    except OSError:
        return
    # proc(5): the fields are counted from 1, and the third follows the name.
    fields = ["", "", "", *stat.rpartition(")")[2].split()]
    libc = ctypes.CDLL(None)
    libc.sbrk.restype = ctypes.c_void_p
    memory = _MemoryMap(
        start_code=int(fields[26]),
        end_code=int(fields[27]),
        start_data=int(fields[45]),
        end_data=int(fields[46]),
        start_brk=int(fields[47]),
        start_stack=int(fields[28]),
        arg_start=start,
        arg_end=start + len(data),
        env_start=int(fields[50]),
        env_end=int(fields[51]),
        exe_fd=_NO_EXE_FD,
    )
    memory.brk = libc.sbrk(0)  # last: it moves with every allocation
    asked = libc.prctl(_PR_SET_MM, _PR_SET_MM_MAP, ctypes.byref(memory), ctypes.sizeof(memory), 0)
    if asked == 0:
        _shown.append(block)
