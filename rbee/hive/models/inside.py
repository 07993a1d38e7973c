"""Folders below the models folder, reached by no link.

The models folder itself may be a link to another disk, and a model a link to a shared store, which
is read. Below the folder nothing is written or removed through a link: it may lead anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rbee.runtime.files import OPEN_FOLDER, set_mode

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SHARED = stat.S_ISGID | stat.S_IRWXG


class LinkOnTheWayError(OSError):
    """`filename` is a link, which leads to `target`."""

    def __init__(self, link: Path, target: str) -> None:
        reason = f"it is a link to {target}, and nothing is changed through a link"
        super().__init__(errno.ELOOP, reason, str(link))
        self.target = target


@contextlib.contextmanager
def opened(root: Path, folder: Path, make: bool = False) -> Iterator[int]:
    """A descriptor of `folder`, which is `root` or lies below it, to name files relative to: they
    stay in that very folder, whatever is put in its place. With `make`, folders below the root are
    made where they are missing. Raises OSError, and ValueError for a folder elsewhere."""
    names = folder.relative_to(root).parts
    if ".." in names:
        raise ValueError(f"{folder} is not below {root}")
    place, path = os.open(root, _FOLDER), root
    try:
        for name in names:
            above, path = place, path / name
            place = _step(above, path, make)
            os.close(above)
        yield place
    finally:
        os.close(place)


def names(place: int) -> list[str]:
    """What lies in the folder of a descriptor."""
    with os.scandir(place) as found:
        return [entry.name for entry in found]


def _step(above: int, path: Path, make: bool) -> int:
    try:
        return _open(above, path)
    except FileNotFoundError:
        if not make:
            raise
    mode = OPEN_FOLDER
    shared = os.fstat(above).st_mode
    if shared & stat.S_ISGID and shared & stat.S_IWGRP:
        # As `rbee-keeper install --system` advises for a folder that a group shares.
        mode |= shared & _SHARED
    try:
        os.mkdir(path.name, mode, dir_fd=above)
    except FileExistsError:  # another process was faster
        return _open(above, path)
    place = _open(above, path)
    set_mode(place, mode)
    return place


def _open(above: int, path: Path) -> int:
    try:
        return os.open(path.name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        if (target := _target(above, path.name)) is not None:
            raise LinkOnTheWayError(path, target) from None
        error.filename = str(path)
        raise


def _target(above: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=above)
    except OSError:
        return None
