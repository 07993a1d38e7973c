"""The log file of a daemon under a lifeline: both outputs go there, and it never grows too large.

llama.cpp writes to descriptor 2 by itself, so the descriptors themselves move to a new file. Older
files are FILE.1 (the newest), FILE.2 and so on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
from pathlib import Path

from rbee.runtime.files import make_folder

CHECK_EVERY_S = 1.0
_MB = 1_000_000


class LogFile:
    """The log of one daemon. `files` is how many files to keep, including the current one."""

    def __init__(
        self, path: Path, max_mb: float, files: int, check_every_s: float = CHECK_EVERY_S
    ) -> None:
        self._path = path
        self._max_bytes = int(max_mb * _MB)
        self._files = files
        self._check_every_s = check_every_s
        # Held for the next file: a program that has no descriptor left must still rotate its log.
        self._reserve: int | None = None

    def redirect(self) -> None:
        """Point both output descriptors at the file (0600), for good, and keep its size in bounds.

        A parent that stops reading, or is gone, can then neither block nor end this program.
        """
        self._open()
        self.check()
        # A thread: neither a blocked event loop nor a long native call holds it up.
        threading.Thread(target=self._keep_checking, name="log-file", daemon=True).start()

    def check(self) -> None:
        """Start a new file if this one is full, or if somebody has moved it away."""
        with contextlib.suppress(OSError):
            if os.fstat(1).st_size >= self._max_bytes:
                self._rotate()
            if not self._is_ours():
                self._open()

    def _keep_checking(self) -> None:
        never = threading.Event()
        while not never.wait(self._check_every_s):
            self.check()

    def _is_ours(self) -> bool:
        ours = os.fstat(1)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def _rotate(self) -> None:
        """Rename, under a lock on the very file: two daemons of one HOME may write to it."""
        fcntl.flock(1, fcntl.LOCK_EX)
        try:
            if self._is_ours():
                for number in range(self._files - 1, 0, -1):
                    if (older := rotated(self._path, number - 1)).exists():
                        older.replace(rotated(self._path, number))
                aside = all_of(self._path)
                for older in aside[: max(0, len(aside) - self._files + 1)]:
                    older.unlink()  # the one that is full; or left from a time when more were kept
        finally:
            fcntl.flock(1, fcntl.LOCK_UN)

    def _open(self) -> None:
        make_folder(self._path.parent)
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        self._reserve = descriptor


def rotated(path: Path, number: int) -> Path:
    """The file `number` rotations ago; 0 is the current one."""
    return path.with_name(f"{path.name}.{number}") if number else path


def all_of(path: Path) -> list[Path]:
    """The existing files of a log, oldest first."""
    found = [path] if path.exists() else []
    number = 1
    while (older := rotated(path, number)).exists():
        found.insert(0, older)
        number += 1
    return found
