"""The sha256 of files: of one that is complete, and of one that is still being written."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from rbee.gguf.regular_file import open_regular

_CHUNK = 1 << 20
_SYNC_EVERY = 16 << 20


class StoppedError(Exception):
    """Somebody asked the work to stop."""


def sha256(path: Path, report: Callable[[int], None] = lambda _: None) -> str:
    """The sha256 of a regular file, in hexadecimal. `report` is called with the bytes that are
    done, and may raise."""
    found = hashlib.sha256()
    buffer = bytearray(4 * _CHUNK)
    done = 0
    with open_regular(path) as file:
        while count := file.readinto(buffer):
            found.update(memoryview(buffer)[:count])
            done += count
            report(done)
    return found.hexdigest()


class BackgroundHash:
    """Hashes a file while another thread writes it, so that the sum is ready when the file is.

    It reads what has been written from the page cache, on a thread of its own: neither the writer
    nor the event loop waits for it, except in `result`. Meanwhile it syncs to the disk what it has
    hashed, so that little is left to wait for at the end.
    """

    def __init__(self, descriptor: int, sync_every: int = _SYNC_EVERY) -> None:
        """`descriptor` is of the file, opened for reading, and is closed here. It may not be a copy
        of the writer's, which would keep the writer's lock."""
        self._descriptor = descriptor
        self._status = os.fstat(self._descriptor)
        self._sync_every = sync_every
        self._sum = hashlib.sha256()
        self._written = 0
        self._whole = False
        self._given_up = False
        self._failed: OSError | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self._thread.start()

    def grow_to(self, size: int) -> None:
        """The file has `size` bytes now."""
        with self._changed:
            self._written = size
            self._changed.notify()

    def result(self) -> str:
        """The sha256 of what has been written, in hexadecimal; waits until it is read. Raises the
        OSError that reading or syncing met."""
        with self._changed:
            self._whole = True
            self._changed.notify()
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        return self._sum.hexdigest()

    def covers(self, descriptor: int) -> bool:
        """Whether this is the same file and as long as it was said to be: another program may have
        replaced or cut it."""
        now = os.fstat(descriptor)
        return os.path.samestat(now, self._status) and now.st_size >= self._written

    def close(self) -> None:
        """Give up: the sum is not needed any more."""
        with self._changed:
            self._given_up = True
            self._changed.notify()

    def _run(self) -> None:
        try:
            self._read()
        except OSError as error:
            self._failed = error
        finally:
            os.close(self._descriptor)

    def _read(self) -> None:
        done = synced = 0
        while (written := self._next(done)) is not None:
            chunk = os.pread(self._descriptor, min(_CHUNK, written - done), done)
            if not chunk:
                raise OSError(errno.EIO, "the file was cut while it was read")
            self._sum.update(chunk)
            done += len(chunk)
            if done - synced >= self._sync_every:
                os.fsync(self._descriptor)
                synced = done

    def _next(self, done: int) -> int | None:
        """The bytes that are written, once they are more than `done`; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._given_up or self._whole or self._written > done)
            if self._given_up or self._written <= done:
                return None
            return self._written
