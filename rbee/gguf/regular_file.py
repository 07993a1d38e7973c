"""Opening a file that somebody has named: only a regular one is ever opened or waited for.

To open a pipe can block for ever, and to open a device can do anything.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def open_regular(path: Path) -> io.BufferedReader:
    """The file at `path`, opened for reading. Raises OSError, also for what is not a regular file,
    and when reading would have to wait for what somebody may write."""
    _check(path, path.stat().st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # Somebody may have put another in its place.
        _check(path, os.fstat(descriptor).st_mode)
        return io.BufferedReader(_File(descriptor))
    except BaseException:
        os.close(descriptor)
        raise


class _File(io.FileIO):
    """Some files of /proc are regular by name, and are read as pipes are."""

    def readinto(self, buffer: Any, /) -> int:
        count: int | None = super().readinto(buffer)
        return _there(count)

    def readall(self) -> bytes:
        found: bytes | None = super().readall()
        return _there(found)


def _there(found: T | None) -> T:
    if found is None:
        raise OSError(errno.EINVAL, "there is nothing to read in it")
    return found


def _check(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
