"""The models folder: what lies in it, by whomever it was put there."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from rbee.contract.errors import StateNotWritable
from rbee.contract.model_ref import ModelRef
from rbee.gguf import split
from rbee.hive.models import quantization, repository
from rbee.hive.models.transfer import PART, HeldError, is_held

_PART = re.compile(rf"^(?P<name>.+\.gguf)\.(?P<size>\d+)-\w+{re.escape(PART)}$", re.IGNORECASE)


class Found(msgspec.Struct, frozen=True):
    """A model in the folder `root`, whole or `partial`; `size_bytes` is what it has when it is
    whole, as far as its parts have `begun`, `path` its first file."""

    root: Path
    path: Path
    size_bytes: int
    bytes_there: int
    modified_unix: int
    partial: bool
    begun: bool

    @property
    def reference(self) -> ModelRef:
        """By its place. Not looked up for a thousand models of which nobody asks it."""
        return by_place(self.root, self.path)

    @property
    def quantization(self) -> str | None:
        return quantization.of_file(self.reference.file or self.path.name)


class Folder:
    """Looks at the disk each time: nothing is remembered. Every call blocks."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def target(self, ref: ModelRef, path: str) -> Path:
        """Where a file of the repository of `ref` belongs."""
        return self.root / repository.place(ref, path)

    def reference(self, path: Path) -> ModelRef:
        """A file by its place."""
        return by_place(self.root, path)

    def make(self) -> None:
        """Raises STATE_NOT_WRITABLE."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            path, reason = str(self.root), error.strerror or str(error)
            raise StateNotWritable(path=path, reason=reason) from None

    def holds(self, path: str | Path) -> bool:
        """Whether a path lies in it, not only by its letters as `folder/../mine.gguf` does."""
        return Path(path).is_relative_to(self.root) and ".." not in Path(path).parts

    def scan(self) -> list[Found]:
        """Every model. A split one stands under its first part, and is whole when all parts are
        there; while one is missing or partial it is partial itself."""
        files: dict[str, os.stat_result] = {}
        partial: dict[str, tuple[int, int]] = {}
        for path, status in _files(str(self.root), frozenset({os.path.realpath(self.root)})):
            if named := _PART.match(path):
                partial[named["name"]] = int(named["size"]), status.st_size
            else:
                files[path] = status
        firsts = {_first(path) for path in [*files, *partial]}
        return [self._found(first, files, partial) for first in sorted(firsts)]

    def free_bytes(self) -> int:
        """On the disk that holds the folder, or will."""
        return shutil.disk_usage(self._existing()).free

    def total_bytes(self) -> int:
        return shutil.disk_usage(self._existing()).total

    def delete(self, first: Path) -> int:
        """Remove a model, its parts and what there is of partial ones, and folders that are empty
        then; returns how many bytes that were. Raises HeldError while somebody fetches it."""
        freed = 0
        for part in split.parts(first.name):
            for path in first.parent.glob(f"{glob.escape(part)}.*{PART}"):
                if is_held(path):
                    raise HeldError(path.stat().st_size)
        for part in split.parts(first.name):
            whole = first.with_name(part)
            for path in [whole, *first.parent.glob(f"{glob.escape(part)}.*{PART}")]:
                with contextlib.suppress(FileNotFoundError):
                    freed += path.stat().st_size
                    path.unlink()
        folder = first.parent
        while folder != self.root and folder.is_relative_to(self.root):
            try:
                folder.rmdir()
            except OSError:
                break
            folder = folder.parent
        return freed

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
    """The reference of a file: of a repository where it lies as one of it, else its path."""
    with contextlib.suppress(ValueError):
        place = PurePosixPath(path.relative_to(root))
        if (found := repository.at_place(place)) is not None:
            return found
    return ModelRef("file", str(path))


def _files(folder: str, above: frozenset[str]) -> Iterator[tuple[str, os.stat_result]]:
    """GGUF files and partial ones below `folder`. Names and no Paths: there may be thousands.

    `above` are the real paths on the way here: a link to one of them would go round for ever.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        with contextlib.suppress(OSError, UnicodeEncodeError):
            # A name that is no text has no reference, and can be told to nobody.
            entry.path.encode()
            if entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                if real not in above:
                    yield from _files(entry.path, above | {real})
            elif entry.name.lower().endswith(".gguf") or _PART.match(entry.path):
                yield entry.path, entry.stat()


def _first(path: str) -> str:
    """The file by which the model is known to which this one belongs."""
    return path if split.place(path) == (1, 1) else split.parts(path)[0]
