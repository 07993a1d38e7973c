"""Tiny models of many architectures: true headers, random weights, 64 wide, mostly of two
layers.

`zoo.toml` says which keys and tensors llama.cpp wants of each; `zoo_discovery` finds that out.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gguf
import numpy as np

# An array is a key's value for each layer.
Key: TypeAlias = int | float | bool | str | list[int]
# Columns first, as llama.cpp has it.
Tensors: TypeAlias = Mapping[str, Sequence[int]]
Tokenizer: TypeAlias = Literal["gpt2", "llama"]

LAYERS = 2
CONTEXT = 512
_BYTES = 256
_WORDS = 320
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6

TEMPLATE = (
    "{% for message in messages %}<|begin|>{{ message.role }}: {{ message.content }}<|over|>"
    "{% endfor %}<|begin|>assistant: "
)

# What most architectures read; the others have it beside what they read.
COMMON: Mapping[str, Key] = {
    "block_count": LAYERS,
    "context_length": CONTEXT,
    "embedding_length": 64,
    "feed_forward_length": 128,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.layer_norm_epsilon": 1e-5,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.dimension_count": 16,
    "rope.freq_base": 10000.0,
}


def _species() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text())


# Those that can answer.
ARCHITECTURES: tuple[str, ...] = tuple(name for name in _species() if name != "t5")


def write(
    path: Path,
    architecture: str,
    tokenizer: Tokenizer = "gpt2",
    pre: str = "gpt-2",
    template: str | None = TEMPLATE,
    eos: bool = True,
    bos: bool = True,
    spoiled: str | None = None,
    keys: Mapping[str, Key] | None = None,
) -> Path:
    """`spoiled` is the name of a tensor whose last weight is not a number. `keys` go before those
    that are right."""
    species = _species()[architecture]
    all_keys = {**COMMON, **species["keys"], **(keys or {})}
    tensors = parse_tensors(species["tensors"], species["keys"].get("block_count", LAYERS))
    write_parts(path, architecture, all_keys, tensors, tokenizer, pre, template, eos, bos, spoiled)
    return path


def write_quantized(path: Path, quantization: str) -> Path:
    """A llama of four times the width, which every quantization's blocks fit into, quantized by
    llama.cpp: a name such as "Q4_K_M"."""
    from llama_cpp import llama_cpp as c

    whole = path.with_name(f"whole-{path.name}")
    tensors = parse_tensors(_species()["llama"]["tensors"])
    wide = {name: [4 * n if n != _WORDS else n for n in shape] for name, shape in tensors.items()}
    keys = {**COMMON, "embedding_length": 256, "feed_forward_length": 512}
    write_parts(whole, "llama", {**keys, "rope.dimension_count": 64}, wide)
    params = c.llama_model_quantize_default_params()
    types = {name: kind for name, kind in vars(c).items() if name.startswith("LLAMA_FTYPE_")}
    params.ftype = (
        types.get(f"LLAMA_FTYPE_MOSTLY_{quantization}") or types[f"LLAMA_FTYPE_ALL_{quantization}"]
    )
    params.nthread = 1
    code = c.llama_model_quantize(str(whole).encode(), str(path).encode(), params)
    whole.unlink()
    assert code == 0, quantization
    return path


def write_parts(
    path: Path,
    architecture: str,
    keys: Mapping[str, Key],
    tensors: Tensors,
    tokenizer: Tokenizer = "gpt2",
    pre: str = "gpt-2",
    template: str | None = None,
    eos: bool = True,
    bos: bool = True,
    spoiled: str | None = None,
) -> None:
    """A model of exactly these keys and tensors."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in keys.items():
        add_field(writer, f"{architecture}.{key}", value)
    words, kinds = _vocabulary(tokenizer)
    writer.add_tokenizer_model(tokenizer)
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    if tokenizer == "gpt2":
        writer.add_tokenizer_pre(pre)
        writer.add_token_merges(["a b"])
    else:
        writer.add_token_scores([0.0] * len(words))
    writer.add_add_bos_token(bos)
    for has, name, add in (
        (bos, "<|begin|>", writer.add_bos_token_id),
        (eos, "<|over|>", writer.add_eos_token_id),
    ):
        if has:
            add(words.index(name))
    if template is not None:
        writer.add_chat_template(template)
    source = np.random.default_rng(7)
    for name, shape in tensors.items():
        writer.add_tensor(name, _weights(source, name, shape, spoiled == name))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def parse_tensors(text: str, layers: int = LAYERS) -> dict[str, list[int]]:
    """Words such as "output_norm.weight=64" or, for every layer, "blk.*.attn_q.weight=64x64"."""
    found = {}
    for word in text.split():
        name, _, shape = word.partition("=")
        for layer in range(layers) if "*" in name else (0,):
            found[name.replace("*", str(layer))] = [int(part) for part in shape.split("x")]
    return found


def _weights(
    source: np.random.Generator, name: str, shape: Sequence[int], spoiled: bool
) -> np.ndarray:
    values = source.normal(scale=0.3, size=math.prod(shape)).astype(np.float32)
    if name.endswith("norm.weight"):
        values += 1
    if "time_mix" in name:
        values /= 10
    if name.endswith("ssm_a"):
        values = -np.abs(values)  # otherwise the state grows without end
    if spoiled:
        values[-1] = np.nan
    return values.reshape(tuple(reversed(shape)))


def _vocabulary(tokenizer: Tokenizer) -> tuple[list[str], list[int]]:
    """320 tokens: each byte, and control tokens."""
    control = ["<|begin|>", "<|over|>", *(f"<|control {number}|>" for number in range(61))]
    if tokenizer == "gpt2":
        return [*byte_letters(), "ab", *control], [_NORMAL] * 257 + [_CONTROL] * 63
    single = [f"<0x{byte:02X}>" for byte in range(_BYTES)]
    return ["<unk>", *single, *control], [_UNKNOWN] + [_BYTE] * 256 + [_CONTROL] * 63


def byte_letters() -> list[str]:
    """The letter for each byte in a byte-level vocabulary: those that can't be seen get others."""
    seen = {*range(33, 127), *range(161, 173), *range(174, 256)}
    letters, others = [], _BYTES
    for byte in range(_BYTES):
        letters.append(chr(byte if byte in seen else others))
        others += byte not in seen
    return letters


def add_field(writer: gguf.GGUFWriter, key: str, value: Key) -> None:
    """Add a field to a header, as of the type that llama.cpp expects for such a value."""
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case list():
            writer.add_array(key, value)
