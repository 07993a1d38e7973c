"""Reading a GGUF header: what the file says of itself, checked against its own length.

Only the header is read, some megabytes at most, through a memory map. Follows the GGUF
specification, versions 2 and 3, little endian.
"""

from __future__ import annotations

import math
import mmap
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from rbee.contract.errors import ModelCorrupt, ModelNotFound, UnsupportedModelFormat
from rbee.contract.model_ref import FORMS
from rbee.gguf import formats

Value: TypeAlias = int | float | bool | str

_LONGEST_KEY = 65_535
_MOST_LAYERS = 16_384
_DEFAULT_CONTEXT = 8192
_LAYER = re.compile(r"^blk\.(\d{1,6})\.")


class Tensor(msgspec.Struct, frozen=True):
    """`start` and `end` are bytes from the beginning of the file."""

    name: str
    start: int
    end: int


class Header(msgspec.Struct, frozen=True):
    """What a model says of itself. Sizes in bytes; None where the file does not say.

    `fields` holds the scalars and texts by key; `lengths` how many elements each array has.
    """

    size_bytes: int
    fields: Mapping[str, Value]
    lengths: Mapping[str, int]
    tensors: tuple[Tensor, ...]

    @property
    def architecture(self) -> str:
        return str(self.fields["general.architecture"])

    @property
    def layers(self) -> int:
        return self._number("block_count")

    @property
    def context_length(self) -> int:
        return self._number("context_length")

    @property
    def vocabulary_size(self) -> int:
        return self.lengths["tokenizer.ggml.tokens"]

    @property
    def quantization(self) -> str | None:
        value = self.fields.get("general.file_type")
        return formats.QUANTIZATIONS.get(value) if isinstance(value, int) else None

    def kv_bytes(self, context: int) -> int:
        """The KV cache of `context` tokens in half precision, as llama.cpp lays it out."""
        heads = self._optional("attention.head_count") or 1
        kv_heads = self._optional("attention.head_count_kv") or heads
        width = (self._optional("embedding_length") or 0) // heads
        keys = self._optional("attention.key_length") or width
        values = self._optional("attention.value_length") or width
        return 2 * context * self.layers * kv_heads * (keys + values)

    def layer_ends(self) -> list[int]:
        """How much of the file must be read before each layer is whole, in bytes, rising."""
        ends: dict[int, int] = {}
        for tensor in self.tensors:
            if found := _LAYER.match(tensor.name):
                layer = int(found[1])
                ends[layer] = max(ends.get(layer, 0), tensor.end)
        return sorted(ends.values())

    def _optional(self, key: str) -> int | None:
        value = self.fields.get(f"{self.architecture}.{key}")
        return value if isinstance(value, int) else None

    def _number(self, key: str) -> int:
        value = self._optional(key)
        assert value is not None  # `read` refuses a header without it
        return value


def context_length(asked: int | None, trained: int) -> int:
    """Tokens of a context: as asked, else 8192, but never more than the model was trained for."""
    return min(asked if asked is not None else _DEFAULT_CONTEXT, trained)


def read(path: Path) -> Header:
    """Read and check the header of `path`.

    Raises MODEL_NOT_FOUND, UNSUPPORTED_MODEL_FORMAT for a file that is no GGUF, and MODEL_CORRUPT
    with the reason in words for one that is broken or cut short.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            raise ModelCorrupt(file=str(path), reason="the file is empty")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            if data[:4] != formats.MAGIC:
                raise UnsupportedModelFormat(
                    f"{path} is no GGUF file: it does not begin with the letters GGUF.",
                    value=str(path),
                    forms=list(FORMS),
                )
            return _Reader(data, path).header(size)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelNotFound(model=f"file:{path}", near=[]) from None
    except IsADirectoryError:
        raise ModelNotFound(f"{path} is a folder.", model=f"file:{path}", near=[]) from None
    except OSError as error:
        reason = error.strerror
        told = f"{path} can't be read: {reason}."
        raise ModelNotFound(told, model=f"file:{path}", near=[]) from None


class _Reader:
    """A position in the file; every read checks that the file is long enough."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data = data
        self._path = path
        self._at = 4

    def header(self, size: int) -> Header:
        version = self._int("<I")
        if version not in formats.VERSIONS:
            raise self._corrupt(f"GGUF version {version} is unknown")
        tensor_count, field_count = self._int("<Q"), self._int("<Q")
        # No field and no tensor takes less than 12 bytes: a count beyond that is a lie.
        if max(tensor_count, field_count) > size // 12:
            raise self._corrupt("it claims more tensors or fields than it has room for")
        fields: dict[str, Value] = {}
        lengths: dict[str, int] = {}
        for _ in range(field_count):
            self._field(fields, lengths)
        tensors = self._tensors(tensor_count, fields, size)
        header = Header(size, fields, lengths, tensors)
        self._check(header)
        return header

    def _field(self, fields: dict[str, Value], lengths: dict[str, int]) -> None:
        key = self._text(_LONGEST_KEY)
        kind = self._int("<I")
        if kind == formats.ARRAY:
            inner, count = self._int("<I"), self._int("<Q")
            lengths[key] = count
            self._skip_array(inner, count)
        elif kind == formats.STRING:
            fields[key] = self._text(len(self._data))
        elif kind in formats.SCALARS:
            fields[key] = self._scalar(formats.SCALARS[kind])
        else:
            raise self._corrupt(f"the field {key!r} has the unknown type {kind}")

    def _skip_array(self, kind: int, count: int) -> None:
        if kind in formats.SCALARS:
            self._skip(count * struct.calcsize(formats.SCALARS[kind]))
        elif kind == formats.STRING and count <= len(self._data) // 8:
            length = struct.Struct("<Q").unpack_from
            data, at, end = self._data, self._at, len(self._data)
            for _ in range(count):
                if at + 8 > end:
                    raise self._corrupt("it ends within its header")
                at += 8 + length(data, at)[0]
            self._at = at
            self._skip(0)
        else:
            raise self._corrupt("an array in its header is not readable")

    def _tensors(self, count: int, fields: Mapping[str, Value], size: int) -> tuple[Tensor, ...]:
        found: list[tuple[str, int, int]] = []
        for _ in range(count):
            name = self._text(_LONGEST_KEY)
            dimensions = self._int("<I")
            if dimensions > 4:
                raise self._corrupt(f"the tensor {name!r} has {dimensions} dimensions")
            elements = math.prod(self._int("<Q") for _ in range(dimensions))
            kind, offset = self._int("<I"), self._int("<Q")
            # An unknown type may be newer than this table: then llama.cpp is the judge.
            per_block, block = formats.TENSOR_TYPES.get(kind, (1, 0))
            found.append((name, offset, elements // per_block * block))
        alignment = fields.get("general.alignment", formats.DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise self._corrupt("its alignment is no positive number")
        base = -(-self._at // alignment) * alignment
        tensors = tuple(Tensor(n, base + at, base + at + length) for n, at, length in found)
        end = max((tensor.end for tensor in tensors), default=0)
        if end > size:
            raise self._corrupt(f"it is cut short: {size} bytes of {end}")
        return tensors

    def _check(self, header: Header) -> None:
        architecture = header.fields.get("general.architecture")
        if not isinstance(architecture, str) or not architecture:
            raise self._corrupt("it names no architecture")
        for key in ("block_count", "context_length"):
            value = header.fields.get(f"{architecture}.{key}")
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise self._corrupt(f"its {architecture}.{key} is {value}")
        if header.layers > _MOST_LAYERS:
            raise self._corrupt(f"it claims {header.layers} layers")
        if not header.lengths.get("tokenizer.ggml.tokens"):
            raise self._corrupt("it has no vocabulary")
        if not header.tensors:
            raise self._corrupt("it has no tensors")

    def _text(self, limit: int) -> str:
        length = self._int("<Q")
        if length > limit:
            raise self._corrupt("a text in its header is longer than it can be")
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
        if self._at > len(self._data):
            raise self._corrupt("it ends within its header")

    def _corrupt(self, reason: str) -> ModelCorrupt:
        return ModelCorrupt(file=str(self._path), reason=reason)
