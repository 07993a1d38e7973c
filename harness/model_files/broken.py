"""Models with one thing wrong: the bundled model's header, edited, over a file of holes.

Nothing but the named thing is wrong: the model "unbroken" is made in the same way, and loads.
"""

import random
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from gguf import GGUFReader, ReaderField

_TENSOR_COUNT_AT, _FIELD_COUNT_AT = 8, 16
_NAME, _DIMENSIONS = 1, 3  # parts of a tensor's info
_TEXT_LENGTH, _ARRAY_LENGTH = 3, 4  # parts of a field

# Where in the file to write what.
Edits = list[tuple[int, bytes]]


def write_broken(path: Path, what: str, whole: GGUFReader, source: Path) -> None:
    """`what` is a key of one of the tables below; `whole` is `source`, already read."""
    header = source.read_bytes()[: whole.data_offset]
    if what in _CONTENTS:
        path.write_bytes(_CONTENTS[what](header))
        return
    with path.open("wb") as file:
        file.write(header)
        for at, content in _EDITS[what](whole):
            file.seek(at)
            file.write(content)
        size = source.stat().st_size
        file.truncate(size // 2 if what == "cut in half" else _SIZES.get(what, size))


def _number(key: str, value: int) -> Callable[[GGUFReader], Edits]:
    def edits(whole: GGUFReader) -> Edits:
        field = whole.fields[key]
        return [(_place(field, field.data[0]), struct.pack("<I", value))]

    return edits


def _count(at: int, count: int) -> Callable[[GGUFReader], Edits]:
    return lambda _: [(at, struct.pack("<Q", count))]


def _other_architecture(whole: GGUFReader) -> Edits:
    """In every key too: a complete model of an unknown architecture."""
    keys = [field for name, field in whole.fields.items() if name.startswith("llama.")]
    named = whole.fields["general.architecture"]
    return [
        *((_place(field, 1), b"lhama.") for field in keys),
        (_place(named, named.data[0]), b"lhama"),
    ]


def _length(key: str, part: int, length: int) -> Callable[[GGUFReader], Edits]:
    return lambda whole: [(_place(whole.fields[key], part), struct.pack("<Q", length))]


def _no_query(whole: GGUFReader) -> Edits:
    return [(_place(_tensor(whole, "blk.7.attn_q.weight"), _NAME), b"blk.7.attn_z.weight")]


def _turned(whole: GGUFReader) -> Edits:
    """As many weights as before, with rows and columns exchanged."""
    info = _tensor(whole, "blk.7.ffn_down.weight")
    columns, rows = info.parts[_DIMENSIONS].tolist()
    return [(_place(info, _DIMENSIONS), struct.pack("<2Q", rows, columns))]


def _fewer_rows(whole: GGUFReader) -> Edits:
    info = _tensor(whole, "token_embd.weight")
    columns, _ = info.parts[_DIMENSIONS].tolist()
    return [(_place(info, _DIMENSIONS), struct.pack("<2Q", columns, 40_000))]


def _tensor(whole: GGUFReader, name: str) -> ReaderField:
    return next(tensor.field for tensor in whole.tensors if tensor.name == name)


def _place(field: ReaderField, part: int) -> int:
    """Return where a part of a field begins in the file."""
    return int(field.offset) + sum(int(before.nbytes) for before in field.parts[:part])


_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 98362752\n"
)

_CONTENTS: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "a shopping list": lambda _: b"milk, bread, two light bulbs\n" * 100,
    "a Git LFS pointer": lambda _: _POINTER,
    "cut in its header": lambda header: header[:100_000],
    "noise behind the magic": lambda _: b"GGUF" + random.Random(0).randbytes(65_536),
    "noise behind the version": lambda header: header[:8] + random.Random(1).randbytes(65_536),
}

_EDITS: Mapping[str, Callable[[GGUFReader], Edits]] = {
    "unbroken": lambda _: [],
    "cut in half": lambda _: [],
    "too many tensors": _count(_TENSOR_COUNT_AT, 2**40),
    "one tensor too many": _count(_TENSOR_COUNT_AT, 273),
    "too many fields": _count(_FIELD_COUNT_AT, 2**40),
    "five thousand fields": _count(_FIELD_COUNT_AT, 5_000),
    "one field too few": _count(_FIELD_COUNT_AT, 32),
    "no layers": _number("llama.block_count", 0),
    "too many layers": _number("llama.block_count", 2**31),
    "one layer too many": _number("llama.block_count", 31),
    "no context": _number("llama.context_length", 0),
    "an absurd context": _number("llama.context_length", 2**31 - 1),
    "a vocabulary that lies": _number("llama.vocab_size", 32_000),
    "fewer embeddings than words": _fewer_rows,
    "an end outside the vocabulary": _number("tokenizer.ggml.eos_token_id", 49_152),
    "a missing tensor": _no_query,
    "a tensor turned around": _turned,
    "an unknown architecture": _other_architecture,
    "two million tensors": _count(_TENSOR_COUNT_AT, 2_000_000),
    "a text of two gigabytes": _length("tokenizer.chat_template", _TEXT_LENGTH, 2 << 30),
    "words without end": _length("tokenizer.ggml.tokens", _ARRAY_LENGTH, 1 << 36),
}

# Files of holes that have room for what they claim.
_SIZES = {"a text of two gigabytes": 3 << 30, "words without end": 1 << 40}

NAMES = frozenset([*_CONTENTS, *_EDITS])
