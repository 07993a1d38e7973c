"""One file on its way from the Hub to the disk: appended, hashed as it grows, named when whole.

It is fetched into a partial file whose name holds the size and hash of its content, so a partial
file can never be continued with another content. What the kernel has taken is still there after a
kill -9.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rbee.contract.errors import ChecksumMismatch, DiskFull, StateNotWritable
from rbee.hive.models import digest, inside
from rbee.hive.models.folder import (
    BeingFetchedError,
    bytes_on_disk,
    is_being_fetched,
    part_path,
    whole_name,
)
from rbee.hive.models.hub import FileStream, Source
from rbee.hive.models.hub_errors import RangeRefusedError, TransientError, failed
from rbee.hive.models.repository import RemoteFile, RemoteModel
from rbee.runtime.files import OPEN_FILE, OPEN_FOLDER, make_folder, set_mode

# Written at once: fewer bytes cost speed, more are lost when the hive is killed.
BUFFER_BYTES = 1 << 20
_BUFFER_S = 0.25
# How often a server may refuse the rest of a file before it is fetched from its beginning.
_LOOKS = 2
_WRITE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MB = 1_000_000


class FileTransfer:
    """One file. Every attempt blocks, on one thread after the other; `stop` may come from any."""

    def __init__(
        self,
        hub: Source,
        model: RemoteModel,
        file: RemoteFile,
        root: Path,
        target: Path,
        on_growth: Callable[[int], None],
        hasher: Callable[[int], digest.BackgroundHash] = digest.BackgroundHash,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        """`target` lies in the models folder `root`. `on_growth` is called with the bytes of the
        file that are there, on the attempt's thread."""
        self.part = part_path(file, target)
        self._hub = hub
        self._model = model
        self._file = file
        self._root = root
        self._target = target
        self._on_growth = on_growth
        self._hasher = hasher
        self._buffer_bytes = buffer_bytes
        self._hash: digest.BackgroundHash | None = None
        self._stream: FileStream | None = None
        self._stopped = False
        self._refusals = 0

    @property
    def size(self) -> int:
        """Bytes that are on the disk."""
        return bytes_on_disk(self._file, self._target)

    def stop(self) -> None:
        """End the running attempt at its next byte, which is not waited for."""
        self._stopped = True
        if self._stream is not None:
            self._stream.abort()

    def close(self) -> None:
        """No attempt follows."""
        if self._hash is not None:
            self._hash.close()

    def attempt(self, source: Source | None = None) -> str:
        """Fetch what is missing, from the Hub or another `source`; returns the sha256 of the whole
        file, which has its name then.

        Raises TransientError, BeingFetchedError, StoppedError, CHECKSUM_MISMATCH, DISK_FULL,
        STATE_NOT_WRITABLE, and what the Hub raises.
        """
        if self._stopped:
            raise digest.StoppedError
        try:
            if self._target.exists() and (known := self._adopt()) is not None:
                return known
            return self._fetch(source or self._hub)
        except RangeRefusedError:
            raise self._range_refused() from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._full() from None
            path = str(error.filename or self.part)
            reason = error.strerror or str(error)
            raise StateNotWritable(path=path, reason=reason) from None

    def _adopt(self) -> str | None:
        """The sha256 of a file that has the name already, if its content is the Hub's."""
        if self._target.stat().st_size != self._file.size_bytes:
            return None
        found = digest.sha256(self._target, self._grown)
        return found if self._file.sha256 in (None, found) else None

    def _fetch(self, source: Source) -> str:
        make_folder(self._root, OPEN_FOLDER)
        # Whatever is put in the folder's place meanwhile, the file is written in this one.
        with inside.opened(self._root, self._target.parent, make=True) as place:
            self._remove_other_contents(place)
            descriptor = self._open_part(place)
            try:
                return self._fetch_into(source, descriptor, place)
            finally:
                os.close(descriptor)

    def _fetch_into(self, source: Source, descriptor: int, place: int) -> str:
        self._lock(descriptor, place)
        # A new partial file: another hive may have finished since we looked.
        is_new = not os.fstat(descriptor).st_size
        if is_new and self._target.exists() and (known := self._adopt()) is not None:
            os.unlink(self.part.name, dir_fd=place)
            return known
        self._append(source, descriptor, place)
        found = self._hash_of(descriptor, place).result()
        self._hash = None
        if self._stopped:
            raise digest.StoppedError
        if self._file.sha256 not in (None, found):
            os.unlink(self.part.name, dir_fd=place)
            raise ChecksumMismatch(file=str(self._target), expected=self._file.sha256, actual=found)
        os.fsync(descriptor)
        os.replace(self.part.name, self._target.name, src_dir_fd=place, dst_dir_fd=place)
        os.fsync(place)
        return found

    def _open_part(self, place: int) -> int:
        """The partial file, for writing: a new one in the place of anything that is not our own, as
        a link or another name of a file elsewhere."""
        name = self.part.name
        for again in (True, False):
            try:
                descriptor = os.open(name, _WRITE, OPEN_FILE, dir_fd=place)
            except OSError as error:
                if error.errno != errno.ELOOP or not again:
                    raise
            else:
                status = os.fstat(descriptor)
                if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
                    if not status.st_size:
                        set_mode(descriptor, OPEN_FILE)
                    return descriptor
                os.close(descriptor)
            os.unlink(name, dir_fd=place)
        raise OSError(errno.EEXIST, "another program puts files in its place", str(self.part))

    def _append(self, source: Source, descriptor: int, place: int) -> None:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size > self._file.size_bytes:
            size = self._start_over(descriptor)
        elif self._refusals == _LOOKS:
            self._refusals += 1
            size = self._start_over(descriptor)
        hashing = self._hash_of(descriptor, place)
        hashing.grow_to(size)
        self._grown(size)
        if size == self._file.size_bytes:
            return
        with source.stream(self._model, self._file, size) as stream:
            self._stream = stream
            self._grown(size)  # it may have been stopped while nothing had come yet
            if stream.start != size:  # the server does no ranges: the whole file comes
                size = self._start_over(descriptor)
                hashing = self._hash_of(descriptor, place)
            try:
                for chunks in _buffered(stream.chunks, self._buffer_bytes):
                    self._grown(size)  # what comes after a stop is not trusted
                    if not os.fstat(descriptor).st_nlink:
                        raise TransientError("the partial file was taken away")
                    size = self._write(descriptor, chunks, size)
                    hashing.grow_to(size)
                    self._grown(size)
                    if size == self._file.size_bytes:
                        break
            finally:
                self._stream = None
        if size < self._file.size_bytes:
            raise TransientError("Connection closed early")

    def _write(self, descriptor: int, chunks: list[bytes], size: int) -> int:
        """Write the chunks behind the `size` bytes that are there; returns the new size. A server
        that sends too much must not fill the disk."""
        left = memoryview(b"".join(chunks))[: self._file.size_bytes - size]
        while left:
            count = os.write(descriptor, left)
            size += count
            left = left[count:]
        return size

    def _range_refused(self) -> Exception:
        """The server has nothing behind what is here. It is asked once more; then what is here is
        not taken for the beginning of its file; and then its file is not the one of the listing."""
        self._refusals += 1
        reason = "the server has no such part of the file (HTTP 416)"
        if self._refusals <= _LOOKS:
            return TransientError(reason)
        return failed(self._model.reference, reason)

    def _hash_of(self, descriptor: int, place: int) -> digest.BackgroundHash:
        """The hash of the partial file. It is kept through the attempts; otherwise each of them
        would read the file again from its beginning."""
        if self._hash is not None and not self._hash.covers(descriptor):
            self._hash.close()
            self._hash = None
        if self._hash is None:
            reading = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._hash = self._hasher(os.open(self.part.name, reading, dir_fd=place))
            if not self._hash.covers(descriptor):
                raise TransientError("the partial file was taken away")
            self._hash.grow_to(os.fstat(descriptor).st_size)
        return self._hash

    def _start_over(self, descriptor: int) -> int:
        """Empty the partial file: it is not the beginning of what comes."""
        self.close()
        self._hash = None
        os.ftruncate(descriptor, 0)
        return os.lseek(descriptor, 0, os.SEEK_SET)

    def _lock(self, descriptor: int, place: int) -> None:
        """Other hives may share the folder: only one of them writes."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BeingFetchedError(os.fstat(descriptor).st_size) from None
        # It may have been renamed or removed between opening and locking.
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(self.part.name, dir_fd=place, follow_symlinks=False)
            if os.path.samestat(os.fstat(descriptor), there):
                return
        raise BeingFetchedError(0)

    def _remove_other_contents(self, place: int) -> None:
        """Remove partial files of what this name used to mean on the Hub."""
        for other in inside.names(place):
            ours = whole_name(other) == self._target.name and other != self.part.name
            if ours and not is_being_fetched(other, place):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(other, dir_fd=place)

    def _grown(self, size: int) -> None:
        if self._stopped:
            raise digest.StoppedError
        self._on_growth(size)

    def _full(self) -> DiskFull:
        missing = self._file.size_bytes - self.size
        return DiskFull(required=-(-missing // _MB), available=0, path=str(self._target.parent))


def _buffered(chunks: Iterator[bytes], size_bytes: int) -> Iterator[list[bytes]]:
    """Chunks of the wire, `size_bytes` of them at a time, or what has come in a quarter of a
    second. What has come before a failure is yielded before the failure is raised."""
    waiting: list[bytes] = []
    size, since = 0, time.monotonic()
    try:
        for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size >= size_bytes or time.monotonic() - since >= _BUFFER_S:
                yield waiting
                waiting, size, since = [], 0, time.monotonic()
    except Exception:
        if waiting:
            yield waiting
        raise
    if waiting:
        yield waiting
