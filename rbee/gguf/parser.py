"""Parse a GGUF header, and check it against the length of its file and the limits of a header.

Follows the GGUF specification, versions 2 and 3, little endian. Arrays of arrays, which llama.cpp
refuses, are refused. Only a block of the file is held at a time.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from rbee.contract.errors import ModelCorrupt
from rbee.gguf import constants, limits
from rbee.gguf.header import Tensor, Value, is_integer
from rbee.gguf.limits import Allowance, TooMuch, at_most

# The bytes of a file from an offset on: some, and at most as many as asked for; none at its end.
Fetch: TypeAlias = Callable[[int, int], bytes]

_BLOCK = 256 << 10
_LENGTH = struct.Struct("<Q")
_TEMPLATES = ("tokenizer.chat_template", "tokenizer.chat_template.tool_use")


class Part(msgspec.Struct, frozen=True):
    """The header of one file. The offsets of its tensors count from the start of this file. Texts
    of more than a kilobyte are left out of the `fields`, but not chat templates. `parameters` are
    the elements of all tensors."""

    size_bytes: int
    fields: Mapping[str, Value]
    lengths: Mapping[str, int]
    tensors: tuple[Tensor, ...]
    parameters: int


def parse(fetch: Fetch, size: int, file: str, allowance: Allowance) -> Part:
    """Parse the header of a file of `size` bytes, after the magic.

    `file` is its name for errors; what its header takes is taken from the `allowance`. Raises
    MODEL_CORRUPT, with the reason, for what no file of that size can hold and for what exceeds a
    limit, and what `fetch` raises.
    """
    parser = _Parser(fetch, size, file, allowance)
    try:
        return parser.part()
    except TooMuch as error:
        raise ModelCorrupt(file=file, reason=str(error)) from None


class _Parser:
    """A position in the file, and the block around it that has been read."""

    def __init__(self, fetch: Fetch, size: int, file: str, allowance: Allowance) -> None:
        self._fetch = fetch
        self._size = size
        self._file = file
        self._allowance = allowance
        self._longest = allowance.header_bytes
        self._block = b""
        self._block_at = len(constants.MAGIC)
        self._at = 0  # within the block, or behind it

    def part(self) -> Part:
        version = self._int("<I")
        if version not in constants.VERSIONS:
            raise self._corrupt(f"GGUF version {version} is unknown")
        tensor_count, field_count = self._int("<Q"), self._int("<Q")
        # Every field and every tensor takes at least 12 bytes.
        if max(tensor_count, field_count) > self._size // 12:
            raise self._corrupt("it claims more tensors or fields than it has room for")
        self._allowance.take_fields(field_count)
        self._allowance.take_tensors(tensor_count)
        fields: dict[str, Value] = {}
        lengths: dict[str, int] = {}
        for _ in range(field_count):
            self._field(fields, lengths)
        tensors, parameters = self._tensors(tensor_count, fields)
        self._allowance.header_bytes -= self._position
        return Part(self._size, fields, lengths, tensors, parameters)

    @property
    def _position(self) -> int:
        return self._block_at + self._at

    def _field(self, fields: dict[str, Value], lengths: dict[str, int]) -> None:
        key = self._name(limits.KEY_BYTES, "bytes in a key")
        kind = self._int("<I")
        if kind == constants.ARRAY:
            inner, count = self._int("<I"), self._int("<Q")
            lengths[key] = count
            self._skip_array(inner, count)
        elif kind == constants.STRING:
            length = at_most(self._int("<Q"), limits.VALUE_BYTES, f"bytes in the text {key!r}")
            kept = limits.TEMPLATE_BYTES if key in _TEMPLATES else limits.KEPT_BYTES
            if length <= kept:
                fields[key] = self._text(length)
            else:
                self._skip(length)
        elif kind in constants.SCALARS:
            fields[key] = self._scalar(constants.SCALARS[kind])
        else:
            raise self._corrupt(f"the field {key!r} has the unknown type {kind}")

    def _skip_array(self, kind: int, count: int) -> None:
        if kind in constants.SCALARS:
            length = count * struct.calcsize(constants.SCALARS[kind])
            self._skip(at_most(length, limits.VALUE_BYTES, "bytes in an array"))
        elif kind == constants.STRING:
            self._allowance.take_texts(count)
            self._skip_texts(count)
        else:
            raise self._corrupt("an array in its header cannot be read")

    def _skip_texts(self, count: int) -> None:
        length = _LENGTH.unpack_from
        while count:
            self._need(_LENGTH.size)
            block, at, last = self._block, self._at, len(self._block) - _LENGTH.size
            while count and at <= last:
                at += _LENGTH.size + length(block, at)[0]
                count -= 1
            self._at = at
            self._check_position()

    def _tensors(self, count: int, fields: Mapping[str, Value]) -> tuple[tuple[Tensor, ...], int]:
        """The tensors, and how many elements they have in all."""
        found: list[tuple[str, int, int]] = []
        parameters = 0
        for _ in range(count):
            name = self._name(limits.TENSOR_NAME_BYTES, "bytes in a tensor's name")
            dimensions = self._int("<I")
            if dimensions > limits.DIMENSIONS:
                raise self._corrupt(f"the tensor {name!r} has {dimensions} dimensions")
            elements = math.prod(self._int("<Q") for _ in range(dimensions))
            if elements > limits.ELEMENTS:
                raise self._corrupt(f"its header claims an impossible size of the tensor {name!r}")
            parameters += elements
            kind, offset = self._int("<I"), self._int("<Q")
            # An unknown type may be newer than this table: llama.cpp decides about it.
            per_block, block = constants.TENSOR_TYPES.get(kind, (1, 0))
            found.append((name, offset, elements // per_block * block))
        alignment = fields.get("general.alignment", constants.DEFAULT_ALIGNMENT)
        if not is_integer(alignment) or not 1 <= alignment <= limits.ALIGNMENT:
            raise self._corrupt(f"its alignment is {alignment}, not 1 to {limits.ALIGNMENT}")
        base = -(-self._position // alignment) * alignment
        tensors = tuple(Tensor(n, base + at, base + at + length) for n, at, length in found)
        end = max((tensor.end for tensor in tensors), default=0)
        if end > self._size:
            raise self._corrupt(f"it is cut short: it has {self._size} bytes of {end}")
        return tensors, parameters

    def _name(self, longest: int, what: str) -> str:
        return self._text(at_most(self._int("<Q"), longest, what))

    def _text(self, length: int) -> str:
        self._need(length)
        start = self._at
        self._at += length
        return self._block[start : self._at].decode(errors="replace")

    def _int(self, form: str) -> int:
        return int(self._scalar(form))

    def _scalar(self, form: str) -> int | float | bool:
        length = struct.calcsize(form)
        self._need(length)
        value: int | float | bool = struct.unpack_from(form, self._block, self._at)[0]
        self._at += length
        return value

    def _skip(self, length: int) -> None:
        self._at += length
        self._check_position()

    def _need(self, count: int) -> None:
        """Read on until the block has the next `count` bytes, which are a few at most."""
        if self._at + count <= len(self._block):
            return
        self._check_position(count)
        position, block = self._position, self._block[self._at :]
        while len(block) < count:
            more = self._fetch(position + len(block), max(_BLOCK, count))
            if not more:  # it became shorter while it was read
                raise self._ends()
            block += more
        self._block, self._block_at, self._at = block, position, 0

    def _check_position(self, ahead: int = 0) -> None:
        end = self._position + ahead
        if end > self._size:
            raise self._ends()
        if end > self._longest:
            raise TooMuch(f"its header has more than {limits.HEADER_BYTES} bytes")

    def _ends(self) -> ModelCorrupt:
        return self._corrupt("it ends within its header")

    def _corrupt(self, reason: str) -> ModelCorrupt:
        return ModelCorrupt(file=self._file, reason=reason)
