"""One file on its way from the Hub to the disk: appended, hashed as it grows, named when whole.

While it is fetched it is called `NAME.<size>-<sha256>.part`, so that a partial file belongs to one
content: of another one it says nothing. What the kernel has taken is there after a kill -9 too.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rbee.contract.errors import ChecksumMismatch, DiskFull, StateNotWritable
from rbee.hive.models import digest, shared
from rbee.hive.models.hub import Flow, Hub, PassingError
from rbee.hive.models.repository import RemoteFile, RemoteModel

PART = ".part"
_MB = 1_000_000
# Written at once: less costs speed, more is lost when the hive is killed.
_GATHER = 1 << 20
_GATHER_S = 0.25


class HeldError(Exception):
    """Another process fetches this file; `size` is how far it is."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Transfer:
    """Every attempt blocks, on one thread after the other; `stop` may come from any."""

    def __init__(
        self,
        hub: Hub,
        model: RemoteModel,
        file: RemoteFile,
        target: Path,
        tell: Callable[[int], None],
    ) -> None:
        """`tell` hears how many bytes of the file are there, on the attempt's thread."""
        self.part = _part(file, target)
        self._hub = hub
        self._model = model
        self._file = file
        self._target = target
        self._tell = tell
        self._follower: digest.Follower | None = None
        self._flow: Flow | None = None
        self._stopped = False

    @property
    def size(self) -> int:
        """Bytes that are on the disk."""
        return there_of(self._file, self._target)

    def stop(self) -> None:
        """End the attempt that runs at its next byte, which is not waited for."""
        self._stopped = True
        if self._flow is not None:
            self._flow.cut()

    def close(self) -> None:
        """No attempt follows."""
        if self._follower is not None:
            self._follower.close()

    def attempt(self) -> str:
        """Fetch what is missing; returns the sha256 of the whole file, which has its name then.

        Raises PassingError, HeldError, StoppedError, CHECKSUM_MISMATCH, DISK_FULL,
        STATE_NOT_WRITABLE, and what the Hub raises.
        """
        if self._stopped:
            raise digest.StoppedError
        try:
            if self._target.exists() and (known := self._adopted()) is not None:
                return known
            return self._fetch()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._full() from None
            path = str(error.filename or self.part)
            reason = error.strerror or str(error)
            raise StateNotWritable(path=path, reason=reason) from None

    def _adopted(self) -> str | None:
        """The sha256 of a file that has the name already, if it is the Hub's."""
        if self._target.stat().st_size != self._file.size_bytes:
            return None
        found = digest.sha256(self._target, self._told)
        return found if self._file.sha256 in (None, found) else None

    def _fetch(self) -> str:
        shared.folder(self._target.parent)
        self._forget_other_contents()
        descriptor = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._lock(descriptor)
            # A new partial file: another hive may have been done since we looked.
            is_new = not os.fstat(descriptor).st_size
            if is_new and self._target.exists() and (known := self._adopted()) is not None:
                self.part.unlink()
                return known
            self._append(descriptor)
            found = self._follow(descriptor).result()
            self._follower = None
            if self._stopped:
                raise digest.StoppedError
            if self._file.sha256 not in (None, found):
                self.part.unlink()
                raise ChecksumMismatch(
                    file=str(self._target), expected=self._file.sha256, actual=found
                )
            os.fsync(descriptor)
            self.part.replace(self._target)
            _sync_folder(self._target.parent)
            return found
        finally:
            os.close(descriptor)

    def _append(self, descriptor: int) -> None:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size > self._file.size_bytes:
            size = self._cut_off(descriptor)
        follower = self._follow(descriptor)
        follower.grown(size)
        self._told(size)
        if size == self._file.size_bytes:
            return
        with self._hub.flow(self._model, self._file, size) as flow:
            self._flow = flow
            self._told(size)  # it may have been stopped while nothing had come yet
            if flow.start != size:  # no ranges here: the whole file comes
                size = self._cut_off(descriptor)
                follower = self._follow(descriptor)
            try:
                for pieces in _gathered(flow.pieces):
                    self._told(size)  # what comes once it was stopped is not believed
                    if not os.fstat(descriptor).st_nlink:
                        raise PassingError("the partial file was taken away")
                    size = self._write(descriptor, pieces, size)
                    follower.grown(size)
                    self._told(size)
                    if size == self._file.size_bytes:
                        break
            finally:
                self._flow = None
        if size < self._file.size_bytes:
            raise PassingError("Connection closed early")

    def _write(self, descriptor: int, pieces: list[bytes], size: int) -> int:
        """All of them, behind the `size` bytes that are there; returns how many are there then. A
        server that sends too much must not fill the disk."""
        left = memoryview(b"".join(pieces))[: self._file.size_bytes - size]
        while left:
            count = os.write(descriptor, left)
            size += count
            left = left[count:]
        return size

    def _follow(self, descriptor: int) -> digest.Follower:
        """What hashes the partial file. It lives through the attempts, or the file would be read
        again from its beginning for each."""
        if self._follower is not None and not self._follower.follows(descriptor):
            self._follower.close()
            self._follower = None
        if self._follower is None:
            self._follower = digest.Follower(self.part)
            self._follower.grown(os.fstat(descriptor).st_size)
        return self._follower

    def _cut_off(self, descriptor: int) -> int:
        """Begin again: what is there is not the beginning of what comes."""
        self.close()
        self._follower = None
        os.ftruncate(descriptor, 0)
        return os.lseek(descriptor, 0, os.SEEK_SET)

    def _lock(self, descriptor: int) -> None:
        """Other hives may share the folder: one of them writes."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldError(os.fstat(descriptor).st_size) from None
        # It may have got its name, or been removed, between opening and locking.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), self.part.stat()):
                return
        raise HeldError(0)

    def _forget_other_contents(self) -> None:
        """Partial files of what used to have this name on the Hub."""
        for other in self._target.parent.glob(f"{glob.escape(self._target.name)}.*{PART}"):
            if other != self.part and not is_held(other):
                other.unlink(missing_ok=True)

    def _told(self, size: int) -> None:
        if self._stopped:
            raise digest.StoppedError
        self._tell(size)

    def _full(self) -> DiskFull:
        missing = self._file.size_bytes - self.size
        return DiskFull(required=-(-missing // _MB), available=0, path=str(self._target.parent))


def is_held(part: Path) -> bool:
    """Whether somebody is just writing this partial file."""
    try:
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def there_of(file: RemoteFile, target: Path) -> int:
    """Bytes of a file that are on the disk: all, where one of its size has its name."""
    if _size(target) == file.size_bytes:
        return file.size_bytes
    return _size(_part(file, target))


def _part(file: RemoteFile, target: Path) -> Path:
    return target.with_name(f"{target.name}.{file.identity}{PART}")


def _gathered(pieces: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Pieces of the wire, a megabyte of them at a time, or what has come in a quarter of a second.

    What has come before a failure is given before it is raised.
    """
    waiting: list[bytes] = []
    size, since = 0, time.monotonic()
    try:
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= _GATHER or time.monotonic() - since >= _GATHER_S:
                yield waiting
                waiting, size, since = [], 0, time.monotonic()
    except Exception:
        if waiting:
            yield waiting
        raise
    if waiting:
        yield waiting


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
