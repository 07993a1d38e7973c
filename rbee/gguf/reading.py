"""Reading the header of a model, from its file or files, or from what a server sent of it so far.

Only the header is read, some megabytes at most, through a memory map, and it is checked: against
the file's own length, against itself and, where the model is split, against its other parts.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from rbee.contract.errors import (
    InvalidModelRef,
    ModelCorrupt,
    ModelNotFound,
    UnsupportedModelFormat,
)
from rbee.contract.model_ref import FORMS
from rbee.gguf import formats, split
from rbee.gguf.checking import check_model, check_place
from rbee.gguf.header import Header, Tensor
from rbee.gguf.parsing import Incomplete, Part, parse


def read(path: Path) -> Header:
    """Read and check the header of `path`; of a split model name the first part.

    The other parts must lie beside it, whole. Raises MODEL_NOT_FOUND, UNSUPPORTED_MODEL_FORMAT for
    a file that is no GGUF, INVALID_MODEL_REF for a later part of a split model, and MODEL_CORRUPT
    with the reason in words for one that is broken, cut short, or lacks a part.
    """
    first = _parsed(path)
    _refuse_later(f"file:{path}", str(path))
    files = (path, *(path.with_name(name) for name in split.parts(path.name)[1:]))
    return _header(files, [first, *(_beside(path, file) for file in files[1:])])


def read_beginning(data: bytes, size: int, name: str) -> Header | None:
    """The header of a file of `size` bytes that begins with `data`; None where `data` ends within
    the header, however short it is.

    `name` is the file's name for errors, and says whether the model is split. Of a split model the
    header is the first part's alone, its sizes and tensors too. What no file of `size` bytes can
    hold is refused as soon as it is seen, but a header may fill its file: how much to fetch at most
    the caller decides. Raises what `read` raises, but for what needs the other parts.
    """
    _check_magic(data[: len(formats.MAGIC)], size, name)
    try:
        part = parse(data[:size], size, name)
    except Incomplete:
        return None
    path = Path(name)
    check_place(path.name, part.fields, name)
    _refuse_later(name, name)
    return _header((path,), [part])


def check_magic(path: Path) -> None:
    """Raises what `read` raises for a file that is not there, empty, or no GGUF at all."""
    with _opened(path):
        pass


def _parsed(path: Path) -> Part:
    """One file's header, which says the same of its place as the file's name."""
    with _opened(path) as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        part = parse(data, len(data), str(path))
    check_place(path.name, part.fields, str(path))
    return part


def _beside(first: Path, path: Path) -> Part:
    """A later part of the model that begins in `first`."""
    number, count = split.place(path.name)
    if not path.exists():
        missing = f"part {number} of {count} is missing: {path.name}"
        raise ModelCorrupt(file=str(first), reason=missing)
    try:
        return _parsed(path)
    except UnsupportedModelFormat:
        reason = f"part {number} of {count} is no GGUF file"
        raise ModelCorrupt(file=str(path), reason=reason) from None


def _header(files: tuple[Path, ...], parts: Sequence[Part]) -> Header:
    tensors: list[Tensor] = []
    before = 0
    for part in parts:
        tensors += (Tensor(t.name, before + t.start, before + t.end) for t in part.tensors)
        before += part.size_bytes
    header = Header(files, before, parts[0].fields, parts[0].lengths, tuple(tensors))
    check_model(header)
    return header


def _refuse_later(value: str, told: str) -> None:
    """`value` is the file as a person names it, `told` how the message calls it."""
    if split.is_first(value):
        return
    number, count = split.place(value)
    raise InvalidModelRef(
        f"{told} is part {number} of {count} of a model: name its first part.",
        value=value,
        forms=list(FORMS),
        near=[split.parts(value)[0]],
    )


def _check_magic(beginning: bytes, size: int, file: str) -> None:
    if size == 0:
        raise ModelCorrupt(file=file, reason="the file is empty")
    if size < len(formats.MAGIC) or not formats.MAGIC.startswith(beginning):
        raise UnsupportedModelFormat(
            f"{file} is no GGUF file: it does not begin with the letters GGUF.",
            value=file,
            forms=list(FORMS),
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            magic = file.read(len(formats.MAGIC))
            _check_magic(magic, len(magic), str(path))
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise ModelNotFound(model=f"file:{path}", near=[]) from None
    except IsADirectoryError:
        raise ModelNotFound(f"{path} is a folder.", model=f"file:{path}", near=[]) from None
    except OSError as error:
        reason = error.strerror
        told = f"{path} can't be read: {reason}."
        raise ModelNotFound(told, model=f"file:{path}", near=[]) from None
