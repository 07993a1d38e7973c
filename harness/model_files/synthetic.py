"""GGUF files whose header is true and whose weights mean nothing.

Keys and tokenizer are the bundled model's own, and the tensor infos are valid.

A file of holes takes some megabytes on disk, and a worker as long to load as a real model. A small
one has noise where the weights are: a piece that comes to lie at a wrong place changes its sha256.
"""

import math
import random
import struct
from pathlib import Path

from gguf import GGMLQuantizationType, GGUFValueType, LlamaFileType

from harness.model_files.bundled import bundled_reader, raw_fields, words_in

_VERSION = 3
_ALIGNMENT = 32
_PRE, _TEMPLATE = "tokenizer.ggml.pre", "tokenizer.chat_template"


def write_model(
    path: Path,
    layers: int,
    width: int,
    hidden: int,
    kind: LlamaFileType = LlamaFileType.MOSTLY_F16,
    noise: str = "",
    pre: str = "",
    template: str | None = None,
) -> Path:
    """With `noise` the holes are filled, with other bytes for each word. `pre` is the name of the
    rules by which llama.cpp splits texts, in place of the bundled model's, and `template` the chat
    template, which an empty one leaves out."""
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
    fields = raw_fields(reader)
    for name, value in shape.items():
        fields[name] = fields[name][:-4] + struct.pack("<I", value)
    if pre:
        fields[_PRE] = _text_field(_PRE, pre)
    if template is not None:
        fields[_TEMPLATE] = _text_field(_TEMPLATE, template)
    if template == "":
        del fields[_TEMPLATE]
    infos, size = [], 0
    for name, dimensions in _tensors(layers, width, hidden, words_in(reader)):
        is_matrix = len(dimensions) > 1
        number = GGMLQuantizationType.F16 if is_matrix else GGMLQuantizationType.F32
        infos.append(_info(name, dimensions, number, size))
        length = math.prod(dimensions) * (2 if is_matrix else 4)
        size += -(-length // _ALIGNMENT) * _ALIGNMENT
    start = b"GGUF" + struct.pack("<IQQ", _VERSION, len(infos), len(fields))
    path.write_bytes(b"".join([start, *fields.values(), *infos]))
    header = -(-path.stat().st_size // _ALIGNMENT) * _ALIGNMENT
    with path.open("r+b") as file:
        file.truncate(header + size)
        if noise:
            file.seek(header)
            file.write(_finite_noise(noise, size))
    return path


def _finite_noise(word: str, size: int) -> bytes:
    """Return bytes that are numbers below 2, in half and in single precision."""
    noise = bytearray(random.Random(word).randbytes(size))
    # Without its highest bit an exponent can be neither large, nor that of NaN and infinity.
    noise[1::2] = noise[1::2].translate(bytes(byte & 0xBF for byte in range(256)))
    return bytes(noise)


def _text_field(name: str, text: str) -> bytes:
    return _string(name) + struct.pack("<I", GGUFValueType.STRING) + _string(text)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _info(
    name: str, dimensions: tuple[int, ...], number: GGMLQuantizationType, offset: int
) -> bytes:
    """A tensor as the header lists it: columns first, and where its weights begin."""
    return b"".join(
        [
            _string(name),
            struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *reversed(dimensions)),
            struct.pack("<IQ", number, offset),
        ]
    )


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
