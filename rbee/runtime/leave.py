"""The end of a program, without taking Python apart first."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

# What a shell shows for a program that SIGINT ended.
INTERRUPTED = 130


def leave_after(work: Callable[[], object]) -> None:
    """Do the `work`, and end the process with the code that it exits with.

    Python itself would first destroy every module and every object, one by one: 15 ms of the 115 of
    a short command, and more in a daemon. The kernel frees them at once. What is left in the
    buffers of standard output is written, and nothing else of ours waits for Python's end.
    """
    try:
        code = _code_of(work)
        if sys.stdout is not None:  # it was closed when the program started
            sys.stdout.flush()
    except OSError as error:  # in what click itself writes, such as --help
        code = 1
        with contextlib.suppress(OSError):
            print(f"Standard output can't be written: {error.strerror}.", file=sys.stderr)
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
    os._exit(code)


def _code_of(work: Callable[[], object]) -> int:
    try:
        work()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        return ended.code or 0
    except KeyboardInterrupt:  # before the work could take it in order
        return INTERRUPTED
    return 0
