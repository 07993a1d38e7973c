"""GGUF files whose header is true and whose weights mean nothing.

Keys and tokenizer are the bundled model's own, and the tensor infos are valid.

A file of holes takes some megabytes on disk, and a worker as long to load as a real model. A small
one has noise where the weights are: a piece that comes to lie at a wrong place changes its sha256.
"""

import random
from pathlib import Path

import numpy as np
from gguf import GGUFValueType, GGUFWriter, LlamaFileType

from harness.model_files.bundled import bundled_reader

_ALIGNMENT = 32


def write_model(
    path: Path,
    layers: int,
    width: int,
    hidden: int,
    kind: LlamaFileType = LlamaFileType.MOSTLY_F16,
    noise: str = "",
) -> Path:
    """With `noise` the holes are filled, with other bytes for each word."""
    heads = width // 64
    shape = {
        "llama.block_count": layers,
        "llama.embedding_length": width,
        "llama.feed_forward_length": hidden,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": heads,
        "llama.rope.dimension_count": 64,
        "general.file_type": int(kind),
    }
    reader = bundled_reader()
    writer = GGUFWriter(path, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = shape.get(name, field.contents())
        if field.types[0] == GGUFValueType.ARRAY:
            writer.add_array(name, value)
        else:
            writer.add_key_value(name, value, field.types[0])
    size = 0
    vocabulary = len(reader.fields["tokenizer.ggml.tokens"].data)
    for name, dimensions in _tensors(layers, width, hidden, vocabulary):
        number = np.dtype(np.float16 if len(dimensions) > 1 else np.float32)
        length = int(np.prod(dimensions)) * number.itemsize
        writer.add_tensor_info(name, dimensions, number, length)
        size += -(-length // _ALIGNMENT) * _ALIGNMENT
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    header = -(-path.stat().st_size // _ALIGNMENT) * _ALIGNMENT
    with path.open("r+b") as file:
        file.truncate(header + size)
        if noise:
            file.seek(header)
            file.write(random.Random(noise).randbytes(size))
    return path


def _tensors(
    layers: int, width: int, hidden: int, vocabulary: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Rows first, as numpy has it; the output weights are the embedding's, as in SmolLM2."""
    square = (width, width)
    block: list[tuple[str, tuple[int, ...]]] = [
        ("attn_norm", (width,)),
        ("attn_q", square),
        ("attn_k", square),
        ("attn_v", square),
        ("attn_output", square),
        ("ffn_norm", (width,)),
        ("ffn_gate", (hidden, width)),
        ("ffn_up", (hidden, width)),
        ("ffn_down", (width, hidden)),
    ]
    return [
        ("token_embd.weight", (vocabulary, width)),
        *(
            (f"blk.{layer}.{name}.weight", dimensions)
            for layer in range(layers)
            for name, dimensions in block
        ),
        ("output_norm.weight", (width,)),
    ]
