"""GGUF files made by the `gguf` package: a second opinion on the format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

Make = Callable[..., Path]

LAYERS = 3
WORDS = ["<s>", "</s>", "ein", "wort", "größer"]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a small model. `fields` replace the ordinary ones; None leaves one out. With `each` it
    is split, so many of its seven tensors in a part, and with `bare_first` none in the first."""

    def write(
        name: str = "m.gguf",
        alignment: int | None = None,
        eos: int | None = None,
        each: int = 0,
        bare_first: bool = False,
        **fields: int | None,
    ) -> Path:
        path = tmp_path / name
        writer = gguf.GGUFWriter(
            path, "llama", split_max_tensors=each, small_first_shard=bare_first
        )
        if alignment is not None:
            writer.add_custom_alignment(alignment)
        numbers: dict[str, int | None] = {
            "block_count": LAYERS,
            "context_length": 2048,
            "embedding_length": 64,
            "attention.head_count": 8,
            "attention.head_count_kv": 2,
            **fields,
        }
        for key, number in numbers.items():
            if number is not None:
                writer.add_uint32(f"llama.{key}", number)
        if eos is not None:
            writer.add_eos_token_id(eos)
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
        writer.add_float32("llama.rope.freq_base", 10_000.0)
        writer.add_bool("tokenizer.ggml.add_bos_token", True)
        writer.add_string("general.name", "Größe")
        writer.add_token_list(WORDS)
        writer.add_token_scores([0.0] * len(WORDS))
        writer.add_tensor("token_embd.weight", np.zeros((5, 64), dtype=np.float32))
        for layer in range(LAYERS):
            writer.add_tensor(f"blk.{layer}.attn.weight", np.zeros((64, 64), dtype=np.float16))
            writer.add_tensor(f"blk.{layer}.ffn.weight", np.zeros(7, dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        first: Path = writer.format_shard_names(path)[0]
        return first

    return write


@pytest.fixture
def good(make: Make) -> bytes:
    """The bytes of a good file."""
    return make("good.gguf").read_bytes()
