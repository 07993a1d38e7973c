"""The end of a program, without taking Python apart first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def leave_after(work: Callable[[], object]) -> None:
    """Do the `work`, and end the process with the code that it exits with.

    Python itself would first destroy every module and every object, one by one: 15 ms of the 115 of
    a short command, and more in a daemon. The kernel frees them at once. What is left in the
    buffers of standard output is written, and nothing else of ours waits for Python's end.
    """
    try:
        work()
        code = 0
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        code = ended.code or 0
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it was closed when the program started
            stream.flush()
    os._exit(code)
