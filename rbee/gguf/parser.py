"""Parse the bytes of a GGUF header, and check them against the length of their file.

Follows the GGUF specification, versions 2 and 3, little endian. The bytes may be only the beginning
of a file on a server: a header that goes on is distinguished from one that cannot be right.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from rbee.contract.errors import ModelCorrupt
from rbee.gguf import constants
from rbee.gguf.header import Tensor, Value

Bytes: TypeAlias = mmap.mmap | bytes

_LONGEST_KEY = 65_535


class Incomplete(Exception):
    """The bytes end within the header, but the file goes on."""


class Part(msgspec.Struct, frozen=True):
    """The header of one file. The offsets of its tensors count from the start of this file."""

    size_bytes: int
    fields: Mapping[str, Value]
    lengths: Mapping[str, int]
    tensors: tuple[Tensor, ...]


def parse(data: Bytes, size: int, file: str) -> Part:
    """Parse the header at the beginning of `data`, after the magic.

    `size` is the length of the whole file in bytes, at least that of `data`; `file` is its name for
    errors. Raises Incomplete, and MODEL_CORRUPT, with the reason, for what no file of that size can
    hold.
    """
    return _Parser(data, size, file).part()


class _Parser:
    """A position in the file. Every read checks that the file and the data are long enough."""

    def __init__(self, data: Bytes, size: int, file: str) -> None:
        self._data = data
        self._size = size
        self._file = file
        self._at = 4

    def part(self) -> Part:
        version = self._int("<I")
        if version not in constants.VERSIONS:
            raise self._corrupt(f"GGUF version {version} is unknown")
        tensor_count, field_count = self._int("<Q"), self._int("<Q")
        # Every field and every tensor takes at least 12 bytes.
        if max(tensor_count, field_count) > self._size // 12:
            raise self._corrupt("it claims more tensors or fields than it has room for")
        fields: dict[str, Value] = {}
        lengths: dict[str, int] = {}
        for _ in range(field_count):
            self._field(fields, lengths)
        tensors = self._tensors(tensor_count, fields)
        return Part(self._size, fields, lengths, tensors)

    def _field(self, fields: dict[str, Value], lengths: dict[str, int]) -> None:
        key = self._string(_LONGEST_KEY)
        kind = self._int("<I")
        if kind == constants.ARRAY:
            inner, count = self._int("<I"), self._int("<Q")
            lengths[key] = count
            self._skip_array(inner, count)
        elif kind == constants.STRING:
            fields[key] = self._string(self._size)
        elif kind in constants.SCALARS:
            fields[key] = self._scalar(constants.SCALARS[kind])
        else:
            raise self._corrupt(f"the field {key!r} has the unknown type {kind}")

    def _skip_array(self, kind: int, count: int) -> None:
        if kind in constants.SCALARS:
            self._skip(count * struct.calcsize(constants.SCALARS[kind]))
        elif kind == constants.STRING and count <= self._size // 8:
            length = struct.Struct("<Q").unpack_from
            data, at, end = self._data, self._at, len(self._data)
            for _ in range(count):
                if at + 8 > end:
                    self._at = at
                    self._skip(8)  # raises: either the data or the file ends here
                at += 8 + length(data, at)[0]
            self._at = at
            self._skip(0)
        else:
            raise self._corrupt("an array in its header cannot be read")

    def _tensors(self, count: int, fields: Mapping[str, Value]) -> tuple[Tensor, ...]:
        found: list[tuple[str, int, int]] = []
        for _ in range(count):
            name = self._string(_LONGEST_KEY)
            dimensions = self._int("<I")
            if dimensions > 4:
                raise self._corrupt(f"the tensor {name!r} has {dimensions} dimensions")
            elements = math.prod(self._int("<Q") for _ in range(dimensions))
            kind, offset = self._int("<I"), self._int("<Q")
            # An unknown type may be newer than this table: llama.cpp decides about it.
            per_block, block = constants.TENSOR_TYPES.get(kind, (1, 0))
            found.append((name, offset, elements // per_block * block))
        alignment = fields.get("general.alignment", constants.DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise self._corrupt("its alignment is not a positive number")
        base = -(-self._at // alignment) * alignment
        tensors = tuple(Tensor(n, base + at, base + at + length) for n, at, length in found)
        end = max((tensor.end for tensor in tensors), default=0)
        if end > self._size:
            raise self._corrupt(f"it is cut short: it has {self._size} bytes of {end}")
        return tensors

    def _string(self, limit: int) -> str:
        length = self._int("<Q")
        if length > limit:
            raise self._corrupt("a string in its header is too long")
        start = self._at
        self._skip(length)
        return self._data[start : self._at].decode(errors="replace")

    def _int(self, form: str) -> int:
        return int(self._scalar(form))

    def _scalar(self, form: str) -> int | float | bool:
        start = self._at
        self._skip(struct.calcsize(form))
        value: int | float | bool = struct.unpack_from(form, self._data, start)[0]
        return value

    def _skip(self, length: int) -> None:
        self._at += length
        if self._at > self._size:
            raise self._corrupt("it ends within its header")
        if self._at > len(self._data):
            raise Incomplete

    def _corrupt(self, reason: str) -> ModelCorrupt:
        return ModelCorrupt(file=self._file, reason=reason)
