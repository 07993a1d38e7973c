"""What a header says, checked against itself and against the name of its file.

llama.cpp ends the process for some of this, and answers nonsense for some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from rbee.contract.errors import ModelCorrupt
from rbee.gguf import split
from rbee.gguf.header import Header, Value

_MOST_LAYERS = 16_384
_LONGEST_CONTEXT = 1 << 24


def check_place(name: str, fields: Mapping[str, Value], file: str) -> None:
    """Check which part of a split model a file is, by its name and by its header.

    llama.cpp goes by the header and looks for the other parts by the name: they must agree. A
    count of 0 is what its own tool leaves behind in parts that it has put together again. Raises
    MODEL_CORRUPT.
    """
    count, number = fields.get("split.count", 1), fields.get("split.no")
    if not _is_number(count):
        raise ModelCorrupt(file=file, reason=f"its split.count is {count}")
    if count <= 1:
        if (named := split.place(name))[1] > 1:
            reason = f"its name says part {named[0]} of {named[1]}, its header knows of no parts"
            raise ModelCorrupt(file=file, reason=reason)
        return
    if not _is_number(number) or not 0 <= number < count:
        raise ModelCorrupt(file=file, reason=f"its split.no is {number} of {count}")
    ending = split.suffix(number + 1, count)
    if not name.endswith(ending):
        told = f"its header says part {number + 1} of {count}: its name must end with {ending}"
        raise ModelCorrupt(file=file, reason=told)


def check_model(header: Header) -> None:
    """Check a header whose parts are in their places. What only all parts together can show is
    left out where they are not all there. Raises MODEL_CORRUPT with the reason."""
    if reason := _fault(header):
        raise ModelCorrupt(file=str(header.file), reason=reason)


def _fault(header: Header) -> str | None:
    architecture = header.fields.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        return "it names no architecture"
    for key in ("block_count", "context_length"):
        value = header.fields.get(f"{architecture}.{key}")
        if not _is_number(value) or value < 1:
            return f"its {architecture}.{key} is {value}"
    if header.layers > _MOST_LAYERS:
        return f"it claims {header.layers} layers"
    if header.context_length > _LONGEST_CONTEXT:
        return f"it claims a context of {header.context_length} tokens"
    if not header.lengths.get("tokenizer.ggml.tokens"):
        return "it has no vocabulary"
    # llama.cpp takes what follows as it stands, and answers nonsense.
    words = header.vocabulary_size
    if (claimed := header.fields.get(f"{architecture}.vocab_size", words)) != words:
        return f"it claims a vocabulary of {claimed}, and has {words} words"
    if header.eos_token_id is not None and not 0 <= header.eos_token_id < words:
        return f"its end-of-sequence token is {header.eos_token_id} of {words}"
    return _tensors_fault(header)


def _tensors_fault(header: Header) -> str | None:
    parts, there = split.place(header.file.name)[1], len(header.tensors)
    if parts != len(header.files):
        return None
    if parts > 1 and (claimed := header.fields.get("split.tensors.count")) != there:
        return f"it claims {claimed} tensors in {parts} parts, and they have {there}"
    return None if there else "it has no tensors"


def _is_number(value: Value | None) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
