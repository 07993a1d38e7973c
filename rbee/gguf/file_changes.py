"""Whether the files of a loaded model are still what was loaded.

llama.cpp maps them into memory. Of a file that is overwritten in place, it computes with what
stands there now, and one that becomes shorter ends the process by SIGBUS.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec


class _Mark(msgspec.Struct, frozen=True):
    """Not the device: its number may change when a network's file system is mounted again. A file
    system that makes up its inode numbers keeps that of a file as long as it is mapped."""

    inode: int
    size: int
    modified_ns: int


class Change(msgspec.Struct, frozen=True):
    """`in_place`: the file was written to; otherwise another one has its name, and what was mapped
    of the old one stays as it was."""

    file: Path
    in_place: bool


class FileChanges:
    """Remembers files as they are when it is made. Links are followed."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._marks = {file: _mark(file) for file in files}

    def hold(self, file: Path) -> bool:
        """Whether `file`, which is not a link, is one of them by whatever name."""
        try:
            inode = file.lstat().st_ino
        except OSError:
            return False
        return any(mark is not None and mark.inode == inode for mark in self._marks.values())

    def find(self) -> Change | None:
        """The first file that is not what it was. A file that is gone, or can't be looked at now,
        has not changed: what was mapped of it stays."""
        for file, was in self._marks.items():
            now = _mark(file)
            if now is not None and now != was:
                return Change(file, was is not None and now.inode == was.inode)
        return None


def _mark(file: Path) -> _Mark | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return _Mark(found.st_ino, found.st_size, found.st_mtime_ns)
