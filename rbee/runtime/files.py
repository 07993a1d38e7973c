"""Folders and files with a mode that does not depend on the umask.

A umask only takes permissions away, and may be 000 where a service manager or a container starts a
program. Whatever is made says who may use it: what a program keeps for itself is its owner's, and
what others are meant to find they may read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
OPEN_FOLDER, OPEN_FILE = 0o755, 0o644


def make_folder(path: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Make a folder, and those above it that are missing; those that exist stay as they are.
    Raises OSError."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_folder(path.parent, mode)
    try:
        path.mkdir(mode)
    except FileExistsError:
        if path.is_dir():  # another process was faster
            return
        if path.is_symlink():
            reason = f"it is a link to {path.readlink()}, which is not there"
            raise FileNotFoundError(errno.ENOENT, reason, str(path)) from None
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        set_mode(descriptor, mode)
    finally:
        os.close(descriptor)


def create(path: Path, mode: int = PRIVATE_FILE) -> int:
    """A descriptor of a new file, for writing. Raises OSError, FileExistsError also for a link."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    set_mode(descriptor, mode)
    return descriptor


def replace(path: Path, content: bytes, mode: int = PRIVATE_FILE, *, durable: bool = False) -> None:
    """Write a file in the place of one that may be there: whole or not at all. `durable` waits for
    the disk, and holds even if the machine stops. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(create(draft, mode), "wb") as out:
            out.write(content)
            if durable:
                out.flush()
                os.fsync(out.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def add(path: Path, content: bytes, mode: int = PRIVATE_FILE) -> None:
    """Write a file where there is none: whole or not at all. If another program is faster, its file
    stays. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(create(draft, mode), "wb") as out:
            out.write(content)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        except OSError:
            draft.rename(path)  # a file system without hard links
    finally:
        draft.unlink(missing_ok=True)


def ensure(path: Path, mode: int = PRIVATE_FILE) -> None:
    """Make an empty file if there is none, for a library that would make it with the umask's mode.
    Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.close(create(path, mode))


def set_mode(descriptor: int, mode: int) -> None:
    """Set the permissions of a file or folder that has just been made."""
    now = os.fstat(descriptor).st_mode
    mode |= now & stat.S_ISGID  # of a folder that a group shares
    if stat.S_IMODE(now) != mode:
        # A disk without permissions has none to set.
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, mode)
