"""The keys with names on disk, `~/.rbee/keys.json`: their digests, which open nothing.

The file is small and changes seldom, so it is written whole: beside its place, then moved there. A
kill at any moment leaves the old file or the new one. Several queens of one HOME may change it: one
after the other, and each starts from what the file says by then.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from rbee.contract.errors import StateNotWritable
from rbee.contract.keys import KeyRow, Role, Weight
from rbee.runtime import files
from rbee.runtime.keyring import PREFIX

# Another queen may hold the file for so long; each change takes some milliseconds.
_LOCK_WITHIN_S, _TRY_EVERY_S = 3.0, 0.01
_log = logging.getLogger("queen-rbee")


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key with a name. `id` is its public part; `sha256` is the digest of the whole key, in
    hexadecimal. Times in seconds since the epoch."""

    id: str
    name: str
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    role: Role
    limit: int | None = None
    queue_limit: int | None = None
    weight: Weight = 1.0
    models: list[str] = []
    created_unix: int
    last_used_unix: int | None = None

    @property
    def row(self) -> KeyRow:
        """What may be shown of it."""
        return KeyRow(
            name=self.name,
            prefix=f"{PREFIX}{self.id}_",
            role=self.role,
            limit=self.limit,
            queue_limit=self.queue_limit,
            weight=self.weight,
            models=self.models,
            created_unix=self.created_unix,
            last_used_unix=self.last_used_unix,
        )


class _Contents(msgspec.Struct, frozen=True):
    keys: list[StoredKey] = []


class KeyFile:
    """Reads and writes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._trouble = ""

    def has_changed(self) -> bool:
        """Whether the file is another one than `read` last saw."""
        return self._state() != self._seen

    def read(self) -> list[StoredKey] | None:
        """The keys in the file; None if it can't be read now, which says nothing of the keys. A
        damaged file holds none; the next change moves it aside."""
        seen = self._state()
        try:
            found = self._decoded()
        except OSError as error:
            if str(error) != self._trouble:  # it is tried again at every request
                _log.error("%s can't be read: %s", self._path, error)
                self._trouble = str(error)
            return None
        except msgspec.MsgspecError as error:
            _log.error("%s is damaged (%s): no key with a name is accepted", self._path, error)
            found = []
        self._seen, self._trouble = seen, ""
        return found

    def change(self, change: Callable[[list[StoredKey]], list[StoredKey]]) -> None:
        """Replace the keys by what `change` makes of them; what it raises leaves them as they are.
        Waits up to 3 s while another queen does the same. Raises STATE_NOT_WRITABLE."""
        try:
            with self._locked():
                try:
                    before = self._decoded()
                except msgspec.MsgspecError as error:
                    before = self._move_aside(error)
                after = change(before)
                if after != before:
                    self._write(after)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StateNotWritable(path=str(self._path), reason=reason) from None

    def _decoded(self) -> list[StoredKey]:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return []
        return msgspec.json.decode(text, type=_Contents).keys if text else []

    def _state(self) -> tuple[int, int, int] | None:
        """What differs from file to file; None if there is none."""
        found = self._stat()
        return found and (found.st_ino, found.st_mtime_ns, found.st_size)

    def _stat(self) -> os.stat_result | None:
        with contextlib.suppress(OSError):
            return self._path.stat()
        return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the file that is there: another queen may have replaced it during the wait."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock(descriptor)
                if os.fstat(descriptor).st_ino == getattr(self._stat(), "st_ino", None):
                    os.fchmod(descriptor, 0o600)
                    yield
                    return
            finally:
                os.close(descriptor)

    def _write(self, keys: list[StoredKey]) -> None:
        text = msgspec.json.format(msgspec.json.encode(_Contents(keys)))
        files.replace(self._path, text + b"\n", durable=True)

    def _move_aside(self, error: Exception) -> list[StoredKey]:
        kept = self._path.with_name(f"{self._path.name}.damaged-{int(time.time())}")
        self._path.rename(kept)
        _log.error("%s is damaged (%s); it is kept as %s", self._path, error, kept)
        return []


def _lock(descriptor: int) -> None:
    """Lock an open file, for as long as it stays open. Raises OSError."""
    deadline = time.monotonic() + _LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise OSError(errno.EBUSY, "another queen keeps it locked") from None
        time.sleep(_TRY_EVERY_S)
