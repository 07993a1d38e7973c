"""Reading a GGUF header, checked against the file's own length and against itself.

Only the header is read, some megabytes at most, through a memory map. Follows the GGUF
specification, versions 2 and 3, little endian.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from rbee.contract.errors import ModelCorrupt, ModelNotFound, UnsupportedModelFormat
from rbee.contract.model_ref import FORMS
from rbee.gguf import formats
from rbee.gguf.header import Header, Tensor, Value

_LONGEST_KEY = 65_535
_MOST_LAYERS = 16_384
_LONGEST_CONTEXT = 1 << 24


def read(path: Path) -> Header:
    """Read and check the header of `path`.

    Raises MODEL_NOT_FOUND, UNSUPPORTED_MODEL_FORMAT for a file that is no GGUF, and MODEL_CORRUPT
    with the reason in words for one that is broken or cut short.
    """
    with _opened(path) as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        return _Reader(data, path).header(len(data))


def check_magic(path: Path) -> None:
    """Raises what `read` raises for a file that is not there, empty, or no GGUF at all."""
    with _opened(path):
        pass


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            magic = file.read(len(formats.MAGIC))
            if not magic:
                raise ModelCorrupt(file=str(path), reason="the file is empty")
            if magic != formats.MAGIC:
                raise UnsupportedModelFormat(
                    f"{path} is no GGUF file: it does not begin with the letters GGUF.",
                    value=str(path),
                    forms=list(FORMS),
                )
            yield file
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
        header = Header(self._path, size, fields, lengths, tensors)
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
        if header.context_length > _LONGEST_CONTEXT:
            raise self._corrupt(f"it claims a context of {header.context_length} tokens")
        if not header.lengths.get("tokenizer.ggml.tokens"):
            raise self._corrupt("it has no vocabulary")
        # llama.cpp takes what follows as it stands, and answers nonsense.
        words = header.vocabulary_size
        if (claimed := header.fields.get(f"{architecture}.vocab_size", words)) != words:
            raise self._corrupt(f"it claims a vocabulary of {claimed}, and has {words} words")
        if header.eos_token_id is not None and not 0 <= header.eos_token_id < words:
            raise self._corrupt(f"its end-of-sequence token is {header.eos_token_id} of {words}")
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
