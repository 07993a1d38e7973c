"""The models folder: what lies in it, whoever put it there, and files that are being fetched."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from rbee.contract.errors import StateNotWritable
from rbee.contract.model_ref import ModelRef
from rbee.contract.quantization import of_file
from rbee.gguf import split
from rbee.hive.models import inside, repository
from rbee.hive.models.repository import RemoteFile
from rbee.runtime import kernel
from rbee.runtime.concurrency import go_on
from rbee.runtime.files import OPEN_FOLDER, make_folder

_PART_SUFFIX = ".part"
_PART = rf"(?i)^(?P<name>.+\.gguf)\.(?P<size>\d+)-\w+{re.escape(_PART_SUFFIX)}$"


class BeingFetchedError(Exception):
    """Another process is fetching the file; `size` are the bytes that it has."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Found(msgspec.Struct, frozen=True):
    """A model in the folder `root`, whole or `partial`. `path` is its first file; `size_bytes` is
    its size when whole, as far as it is known: only once all its parts have `begun`."""

    root: Path
    path: Path
    size_bytes: int
    bytes_there: int
    modified_unix: int
    partial: bool
    begun: bool

    @property
    def reference(self) -> ModelRef:
        """From its place; worked out only when needed, since there may be a thousand models."""
        return by_place(self.root, self.path)

    @property
    def quantization(self) -> str | None:
        return of_file(self.reference.file or self.path.name)


class Removal(msgspec.Struct, frozen=True):
    """What a deletion did. `stays` are the files that links led to; `held_bytes` are free when the
    processes `held_by` end, which have the files in memory."""

    freed_bytes: int = 0
    stays: tuple[str, ...] = ()
    held_bytes: int = 0
    held_by: tuple[str, ...] = ()


class Folder:
    """Looks at the disk each time and remembers nothing. Every call blocks."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def target(self, ref: ModelRef, path: str) -> Path:
        """Where a file of the repository of `ref` belongs."""
        return self.root / repository.place(ref, path)

    def reference(self, path: Path) -> ModelRef:
        """The reference of a file, from its place."""
        return by_place(self.root, path)

    def make(self) -> None:
        """Raises STATE_NOT_WRITABLE."""
        try:
            make_folder(self.root, OPEN_FOLDER)
        except OSError as error:
            path, reason = str(self.root), error.strerror or str(error)
            raise StateNotWritable(path=path, reason=reason) from None

    def holds(self, path: str | Path) -> bool:
        """Whether a path lies in the folder; `folder/../mine.gguf` does not."""
        return Path(path).is_relative_to(self.root) and ".." not in Path(path).parts

    def scan(self) -> list[Found]:
        """Every model. A split one is listed under its first part, and is whole when all parts are
        there; while one is missing or partial, the model is partial."""
        files: dict[str, os.stat_result] = {}
        partial: dict[str, tuple[int, int]] = {}
        for path, status in _files(str(self.root), frozenset({os.path.realpath(self.root)})):
            if named := re.match(_PART, path):
                partial[named["name"]] = int(named["size"]), status.st_size
            else:
                files[path] = status
        firsts = {_first(path) for path in [*files, *partial]}
        return [self._found(first, files, partial) for first in sorted(firsts)]

    def free_bytes(self) -> int:
        """On the disk that holds the folder, or that would."""
        return shutil.disk_usage(self._existing()).free

    def total_bytes(self) -> int:
        return shutil.disk_usage(self._existing()).total

    def delete(self, first: Path) -> Removal:
        """Remove a model with its parts and partial files, and the folders that this leaves empty.
        Of a link only itself is removed. Raises BeingFetchedError, LinkOnTheWayError for a model
        that lies behind a link to a folder, and OSError."""
        removed: dict[tuple[int, str], int] = {}
        stays = []
        try:
            with inside.opened(self.root, first.parent) as place:
                whole, partial = _files_of(first.name, inside.names(place))
                for name in partial:
                    if is_being_fetched(name, place):
                        raise BeingFetchedError(os.stat(name, dir_fd=place).st_size)
                for name in [*whole, *partial]:
                    with contextlib.suppress(FileNotFoundError):
                        status = os.stat(name, dir_fd=place, follow_symlinks=False)
                        if stat.S_ISLNK(status.st_mode):
                            stays.append(os.path.realpath(first.with_name(name)))
                        elif status.st_nlink == 1:
                            removed[status.st_ino, name] = status.st_size
                        os.unlink(name, dir_fd=place)
        except FileNotFoundError:
            return Removal()
        self._remove_empty(first.parent)
        size, holders = sum(removed.values()), kernel.holders(removed)
        if not holders:
            return Removal(size, tuple(stays))
        held_by = tuple(f"{name} (pid {pid})" for pid, name in holders)
        return Removal(0, tuple(stays), size, held_by)

    def _remove_empty(self, folder: Path) -> None:
        """Remove a folder if it is empty, and so on with those above it up to the root."""
        with contextlib.suppress(OSError):
            while folder != self.root:
                with inside.opened(self.root, folder.parent) as above:
                    os.rmdir(folder.name, dir_fd=above)
                folder = folder.parent

    def _found(
        self,
        first: str,
        files: Mapping[str, os.stat_result],
        partial: Mapping[str, tuple[int, int]],
    ) -> Found:
        wanted = there = modified = 0
        whole = begun = True
        for part in split.parts(first):
            if status := files.get(part):
                wanted += status.st_size
                there += status.st_size
                modified = max(modified, int(status.st_mtime))
            else:
                whole = False
                begun = begun and part in partial
                size, came = partial.get(part, (0, 0))
                wanted += size
                there += came
        return Found(self.root, Path(first), wanted, there, modified, not whole, begun)

    def _existing(self) -> Path:
        return next(folder for folder in (self.root, *self.root.parents) if folder.exists())


def by_place(root: Path, path: Path) -> ModelRef:
    """The reference of a file: its repository if it lies where such a file belongs, else its
    path."""
    with contextlib.suppress(ValueError):
        place = PurePosixPath(path.relative_to(root))
        if (found := repository.at_place(place)) is not None:
            return found
    return ModelRef("file", str(path))


def _files(folder: str, above: frozenset[str]) -> Iterator[tuple[str, os.stat_result]]:
    """GGUF files and partial ones below `folder`, as names rather than Paths: there may be
    thousands.

    `above` are the real paths of the folders on the way here: a link to one of them would never
    end. A link may lead to a whole disk, so the search ends with its asker.
    """
    go_on()
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        with contextlib.suppress(OSError, UnicodeEncodeError):
            # A name that is not text has no reference and can't be shown to anybody.
            entry.path.encode()
            if entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                if real not in above:
                    yield from _files(entry.path, above | {real})
            elif entry.name.lower().endswith(".gguf") or re.match(_PART, entry.path):
                yield entry.path, entry.stat()


def _first(path: str) -> str:
    """The first file of the model that this file belongs to."""
    return path if split.place(path) == (1, 1) else split.parts(path)[0]


def _files_of(first: str, names: list[str]) -> tuple[list[str], list[str]]:
    """Of the `names` in its folder, those of a model: whole files, and partial ones."""
    parts = split.parts(first)
    return (
        [name for name in parts if name in names],
        [name for name in names if whole_name(name) in parts],
    )


def whole_name(part: str) -> str | None:
    """The name that a partial file will have when it is whole; None for any other file."""
    named = re.match(_PART, part)
    return named["name"] if named else None


def part_path(file: RemoteFile, target: Path) -> Path:
    """The partial file for `target`, named for the content that it is to have."""
    return target.with_name(f"{target.name}.{file.identity}{_PART_SUFFIX}")


def bytes_on_disk(file: RemoteFile, target: Path) -> int:
    """Bytes of a file that are on the disk: all, if a file of its size has its name."""
    if _size(target) == file.size_bytes:
        return file.size_bytes
    return _size(part_path(file, target), follow=False)


def is_being_fetched(part: str | Path, place: int | None = None) -> bool:
    """Whether somebody is writing this partial file, whose name is relative to the folder `place`.
    Nobody does if it is a link or not a file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(part, flags, dir_fd=place)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _size(path: Path, follow: bool = True) -> int:
    try:
        return path.stat(follow_symlinks=follow).st_size
    except OSError:
        return 0
