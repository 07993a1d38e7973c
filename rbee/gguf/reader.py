"""Read the header of a model from its files, or from the beginning of a file on a server.

Only the header is read, a few megabytes as a rule, within the limits of `rbee.gguf.limits`. It is
checked against the length of the file, against itself and, if the model is split, against its other
parts.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from rbee.contract.errors import (
    InvalidModelRef,
    ModelCorrupt,
    ModelNotFound,
    UnsupportedModelFormat,
)
from rbee.contract.model_ref import FORMS
from rbee.gguf import constants, limits, split
from rbee.gguf.header import Header, Tensor, Value, check, is_integer
from rbee.gguf.limits import Allowance
from rbee.gguf.parser import Fetch, Part, parse
from rbee.gguf.regular_file import open_regular


class _Incomplete(Exception):
    """The bytes end within the header, but the file goes on."""


def read(
    path: Path,
    go_on: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> Header:
    """Read and check the header of the model at `path`, the first part if it is split.

    The other parts must lie beside it. `go_on` is called before each block of 256 KB; it may raise
    to give up. Raises MODEL_NOT_FOUND; UNSUPPORTED_MODEL_FORMAT for a file that is not a GGUF;
    INVALID_MODEL_REF for a later part of a split model; MODEL_CORRUPT, with the reason, for a model
    that is broken, cut short, lacks a part, exceeds a limit or takes a minute to read.
    """
    allowance, began = Allowance(), clock()

    def check_time() -> None:
        go_on()
        if clock() - began > limits.WITHIN_S:
            reason = f"its header can't be read within {limits.WITHIN_S:g} s"
            raise ModelCorrupt(file=str(path), reason=reason)

    first = _parsed(path, allowance, check_time)
    _refuse_missing_parts(path)
    _refuse_later_part(f"file:{path}", str(path))
    files = (path, *(path.with_name(name) for name in split.parts(path.name)[1:]))
    later = (_beside(file, allowance, check_time) for file in files[1:])
    return _header(files, [first, *later])


def read_beginning(
    data: bytes | bytearray, size: int, name: str, go_on: Callable[[], object] = lambda: None
) -> Header | None:
    """The header of a file of `size` bytes that begins with `data`, or None if `data` ends within
    the header.

    `name` is the file's name, for errors and to see whether the model is split: then the header,
    its sizes and its tensors are those of the first part alone. What no file of `size` bytes can
    hold, or exceeds a limit, is refused at once. Raises what `read` raises, except for errors of
    the other parts.
    """
    _check_magic(bytes(data[: len(constants.LFS_POINTER)]), size, name)
    end = min(len(data), size)

    def fetch(offset: int, length: int) -> bytes:
        go_on()
        if offset >= end and end < size:
            raise _Incomplete
        return bytes(data[offset : min(offset + length, end)])

    try:
        part = parse(fetch, size, name, Allowance())
    except _Incomplete:
        return None
    path = Path(name)
    _check_place(path.name, part.fields, name)
    _refuse_later_part(name, name)
    return _header((path,), [part])


def check_magic(path: Path) -> None:
    """Raises what `read` raises for a file that is missing, empty, or not a GGUF at all."""
    with _opened(path):
        pass


def _parsed(path: Path, allowance: Allowance, check_time: Callable[[], object]) -> Part:
    """The header of one file, whose place among the parts has been checked."""
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        part = parse(_fetch(file.fileno(), check_time), size, str(path), allowance)
    _check_place(path.name, part.fields, str(path))
    return part


def _fetch(descriptor: int, check_time: Callable[[], object]) -> Fetch:
    """Not through a memory map: while the disk is slow, every other thread would wait too."""

    def fetch(offset: int, length: int) -> bytes:
        check_time()
        return os.pread(descriptor, length, offset)

    return fetch


def _check_place(name: str, fields: Mapping[str, Value], file: str) -> None:
    """Check that a file's name and its header agree on which part of a split model it is.

    llama.cpp goes by the header, but finds the other parts by the name. A count of 0 is what its
    own tool leaves in a file that it has merged. Raises MODEL_CORRUPT.
    """
    count, number = fields.get("split.count", 1), fields.get("split.no")
    if not is_integer(count):
        raise ModelCorrupt(file=file, reason=f"its split.count is {count}")
    if count > limits.PARTS:
        reason = f"its header claims {count} parts; the most that is read is {limits.PARTS}"
        raise ModelCorrupt(file=file, reason=reason)
    if count <= 1:
        if (named := split.place(name))[1] > 1:
            reason = f"its name says part {named[0]} of {named[1]}, but its header is not split"
            raise ModelCorrupt(file=file, reason=reason)
        return
    if not is_integer(number) or not 0 <= number < count:
        raise ModelCorrupt(file=file, reason=f"its split.no is {number} of {count}")
    ending = split.suffix(number + 1, count)
    if not name.endswith(ending):
        reason = f"its header says part {number + 1} of {count}: its name must end with {ending}"
        raise ModelCorrupt(file=file, reason=reason)


def _beside(path: Path, allowance: Allowance, check_time: Callable[[], object]) -> Part:
    """A later part of a model."""
    try:
        return _parsed(path, allowance, check_time)
    except UnsupportedModelFormat:
        number, count = split.place(path.name)
        reason = f"part {number} of {count} is not a GGUF file"
        raise ModelCorrupt(file=str(path), reason=reason) from None


def _header(files: tuple[Path, ...], parts: Sequence[Part]) -> Header:
    tensors: list[Tensor] = []
    before = parameters = 0
    for part in parts:
        parameters += part.parameters
        tensors += (Tensor(t.name, before + t.start, before + t.end) for t in part.tensors)
        before += part.size_bytes
    header = Header(files, before, parts[0].fields, parts[0].lengths, tuple(tensors), parameters)
    check(header)
    return header


def _refuse_missing_parts(path: Path) -> None:
    """Raises MODEL_CORRUPT if some of the parts of the model of `path` are there and others not."""
    there = [path.with_name(name).exists() for name in split.parts(path.name)]
    missing = [number for number, is_there in enumerate(there, start=1) if not is_there]
    if missing and len(missing) < len(there):
        raise ModelCorrupt(file=str(path), reason=split.told_missing(missing, path.name))


def _refuse_later_part(value: str, shown: str) -> None:
    """`value` is the file as a person refers to it, `shown` its name in the message."""
    if split.is_first(value):
        return
    number, count = split.place(value)
    raise InvalidModelRef(
        f"{shown} is part {number} of {count} of a model. Give its first part instead.",
        value=value,
        forms=list(FORMS),
        near=[split.parts(value)[0]],
    )


def _check_magic(beginning: bytes, size: int, file: str) -> None:
    if size == 0:
        raise ModelCorrupt(file=file, reason="the file is empty")
    if beginning.startswith(constants.LFS_POINTER):
        reason = "it is the Git LFS pointer of the file, not the file"
        raise ModelCorrupt(file=file, reason=reason)
    magic = beginning[: len(constants.MAGIC)]
    if size < len(constants.MAGIC) or not constants.MAGIC.startswith(magic):
        raise UnsupportedModelFormat(
            f"{file} is not a GGUF file: it does not begin with the letters GGUF.",
            value=file,
            forms=list(FORMS),
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with open_regular(path) as file:
            beginning = file.read(len(constants.LFS_POINTER))
            _check_magic(beginning, len(beginning), str(path))
            yield file
    except (FileNotFoundError, NotADirectoryError):
        _refuse_missing_parts(path)
        message = f"There is no file {path} on this node."
        raise ModelNotFound(message, model=f"file:{path}", near=[]) from None
    except IsADirectoryError:
        raise ModelNotFound(f"{path} is a folder.", model=f"file:{path}", near=[]) from None
    except OSError as error:
        reason = error.strerror
        message = f"{path} can't be read: {reason}."
        raise ModelNotFound(message, model=f"file:{path}", near=[]) from None
