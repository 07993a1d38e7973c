"""The header of a GGUF model: what it says, and whether that can be true.

llama.cpp aborts the process for some of what `check` refuses, and answers nonsense for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias, TypeGuard

import msgspec

from rbee.contract.errors import ModelCorrupt
from rbee.gguf import constants, split

Value: TypeAlias = int | float | bool | str

_DEFAULT_CONTEXT = 8192
_MOST_LAYERS = 16_384
_LONGEST_CONTEXT = 1 << 24
# More than any machine has, and what a message can still hold.
_MOST_BYTES = 1 << 60
_SIZES = (
    "embedding_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
)
_LARGEST_SIZE = 1 << 24
_LAYER = r"^blk\.(\d{1,6})\."


class Tensor(msgspec.Struct, frozen=True):
    """`start` and `end` are offsets in bytes from the beginning of the file. In a split model they
    are counted as if its parts were one file."""

    name: str
    start: int
    end: int


class Header(msgspec.Struct, frozen=True):
    """A model's metadata. Sizes are in bytes; a value that the file does not give is None.

    `files` are the parts of a split model in order, or the one file. `size_bytes` and `tensors`
    cover all of them, and so do `parameters`, the elements of the tensors. `fields` holds the
    scalars and the texts of up to a kilobyte by key, and chat templates of up to a megabyte,
    `lengths` the number of elements of each array.
    """

    files: tuple[Path, ...]
    size_bytes: int
    fields: Mapping[str, Value]
    lengths: Mapping[str, int]
    tensors: tuple[Tensor, ...]
    parameters: int

    @property
    def file(self) -> Path:
        """The file to load the model by: its only one, or its first part."""
        return self.files[0]

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
        return constants.QUANTIZATIONS.get(value) if isinstance(value, int) else None

    @property
    def embedding_length(self) -> int | None:
        return self._optional("embedding_length")

    @property
    def eos_token_id(self) -> int | None:
        value = self.fields.get("tokenizer.ggml.eos_token_id")
        return value if isinstance(value, int) else None

    def kv_bytes(self, context: int) -> int:
        """The size of the KV cache for `context` tokens in half precision, as in llama.cpp."""
        heads = self._optional("attention.head_count") or 1
        kv_heads = self._optional("attention.head_count_kv") or heads
        width = (self._optional("embedding_length") or 0) // heads
        keys = self._optional("attention.key_length") or width
        values = self._optional("attention.value_length") or width
        return min(_MOST_BYTES, 2 * context * self.layers * kv_heads * (keys + values))

    def layer_ends(self) -> list[int]:
        """How many bytes must be read before each layer is complete, in ascending order."""
        ends: dict[int, int] = {}
        for tensor in self.tensors:
            if found := re.match(_LAYER, tensor.name):
                layer = int(found[1])
                ends[layer] = max(ends.get(layer, 0), tensor.end)
        return sorted(ends.values())

    def _optional(self, key: str) -> int | None:
        value = self.fields.get(f"{self.architecture}.{key}")
        return value if isinstance(value, int) else None

    def _number(self, key: str) -> int:
        value = self._optional(key)
        assert value is not None  # `check` refuses a header without it
        return value


def context_length(wanted: int | None, trained: int) -> int:
    """The context length in tokens: `wanted`, or else 8192, but at most what the model was
    trained for."""
    return min(wanted if wanted is not None else _DEFAULT_CONTEXT, trained)


def check(header: Header) -> None:
    """Check a header against itself. Raises MODEL_CORRUPT with the reason.

    Checks that need every part of a split model are skipped if only its first part is there.
    """
    if reason := _fault(header):
        raise ModelCorrupt(file=str(header.file), reason=reason)


def _fault(header: Header) -> str | None:
    architecture = header.fields.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        return "it does not name an architecture"
    for key in ("block_count", "context_length"):
        value = header.fields.get(f"{architecture}.{key}")
        if not is_integer(value) or value < 1:
            return f"its {architecture}.{key} is {value}"
    if header.layers > _MOST_LAYERS:
        return f"it claims {header.layers} layers"
    if header.context_length > _LONGEST_CONTEXT:
        return f"it claims a context of {header.context_length} tokens"
    for key in _SIZES:
        size = header.fields.get(f"{architecture}.{key}", 0)
        if is_integer(size) and not 0 <= size <= _LARGEST_SIZE:
            return f"its {architecture}.{key} is {size}"
    if not header.lengths.get("tokenizer.ggml.tokens"):
        return "it has no vocabulary"
    # llama.cpp does not check the following, and answers nonsense.
    words = header.vocabulary_size
    if (claimed := header.fields.get(f"{architecture}.vocab_size", words)) != words:
        return f"it claims a vocabulary of {claimed} but has {words} words"
    if header.eos_token_id is not None and not 0 <= header.eos_token_id < words:
        return f"its end-of-sequence token is {header.eos_token_id} of {words}"
    return _tensors_fault(header)


def _tensors_fault(header: Header) -> str | None:
    parts, there = split.place(header.file.name)[1], len(header.tensors)
    if parts != len(header.files):
        return None
    if parts > 1 and (claimed := header.fields.get("split.tensors.count")) != there:
        return f"it claims {claimed} tensors in {parts} parts, but they have {there}"
    return None if there else "it has no tensors"


def is_integer(value: Value | None) -> TypeGuard[int]:
    """Whether a field is an integer. Python counts True and False as integers; GGUF does not."""
    return isinstance(value, int) and not isinstance(value, bool)
