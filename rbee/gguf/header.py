"""A GGUF file's header: what a model says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from rbee.gguf import formats

Value: TypeAlias = int | float | bool | str
Pooling: TypeAlias = Literal["mean", "cls", "last", "rank"]

_DEFAULT_CONTEXT = 8192
_POOLINGS: Mapping[int, Pooling] = {1: "mean", 2: "cls", 3: "last", 4: "rank"}
_LAYER = re.compile(r"^blk\.(\d{1,6})\.")


class Tensor(msgspec.Struct, frozen=True):
    """`start` and `end` are bytes from the beginning of the file; of a split model from the first
    part's, as if the parts stood one after another."""

    name: str
    start: int
    end: int


class Header(msgspec.Struct, frozen=True):
    """What a model says of itself. Sizes in bytes; None where the file does not say.

    `files` are the parts of a split model in their order, or the one file; `size_bytes` and
    `tensors` are those of all of them. `fields` holds the scalars and texts by key; `lengths` how
    many elements each array has.
    """

    files: tuple[Path, ...]
    size_bytes: int
    fields: Mapping[str, Value]
    lengths: Mapping[str, int]
    tensors: tuple[Tensor, ...]

    @property
    def file(self) -> Path:
        """What a model is loaded by: its only file, or its first."""
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
        return formats.QUANTIZATIONS.get(value) if isinstance(value, int) else None

    @property
    def eos_token_id(self) -> int | None:
        value = self.fields.get("tokenizer.ggml.eos_token_id")
        return value if isinstance(value, int) else None

    @property
    def causal(self) -> bool:
        """False for a model that looks both ways: it makes embeddings, never an answer."""
        return self.fields.get(f"{self.architecture}.attention.causal") is not False

    @property
    def pooling(self) -> Pooling:
        """How the vectors of a text's tokens become one; the mean where the model does not say."""
        return _POOLINGS.get(self._optional("pooling_type") or 0, "mean")

    def kv_bytes(self, context: int) -> int:
        """The KV cache of `context` tokens in half precision, as llama.cpp lays it out."""
        heads = self._optional("attention.head_count") or 1
        kv_heads = self._optional("attention.head_count_kv") or heads
        width = (self._optional("embedding_length") or 0) // heads
        keys = self._optional("attention.key_length") or width
        values = self._optional("attention.value_length") or width
        return 2 * context * self.layers * kv_heads * (keys + values)

    def layer_ends(self) -> list[int]:
        """How much of the files must be read before each layer is whole, in bytes, rising."""
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
