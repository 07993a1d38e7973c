"""What llama.cpp wants of an architecture, found out by asking it: python -m
harness.model_files.zoo_discovery ARCHITECTURE [KEY=VALUE …]

A model without tensors is loaded, and gets the one that llama.cpp misses, in the shape that it
expects, until it loads. A key that is missing is said, and must be given; and so must a tensor that
llama.cpp takes as optional but crashes without, as NAME=64x64. It prints the entry for `zoo.toml`.
"""

from __future__ import annotations

import ctypes
import re
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from harness.model_files import zoo
from harness.model_files.llama_params import model_params

_MISSING = re.compile(r"(?:missing tensor '([^']+)'|tensor '([^']+)' not found)")
_SHAPE = re.compile(r"tensor '([^']+)' has wrong shape; expected\s+([\d, ]+), got")
_ERROR = 4
_MOST = 1000


def discover(architecture: str, given: list[str]) -> str:
    """The entry for `zoo.toml`. Raises ValueError with what llama.cpp says if it can't be found."""
    keys: dict[str, zoo.Key] = {}
    tensors: dict[str, list[int]] = {}
    for word in given:
        name, _, value = word.partition("=")
        if name.startswith("blk."):
            tensors |= zoo.parse_tensors(word)
        else:
            keys[name] = _value(value)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        for _ in range(_MOST):
            zoo.write_parts(path, architecture, {**zoo.COMMON, **keys}, tensors)
            said = _load(path)
            if said is None:
                return _entry(architecture, keys, tensors)
            if found := _SHAPE.search(said):
                tensors[found[1]] = _shape(found[2])
            elif found := _MISSING.search(said):
                tensors[found[1] or found[2]] = [1]
            else:
                raise ValueError(said)
    raise ValueError("it wants no end of tensors")


def _load(path: Path) -> str | None:
    """None if llama.cpp loads it, otherwise what it says."""
    from llama_cpp import llama_cpp as c

    lines: list[str] = []

    def hear(level: int, text: bytes, _: Any) -> None:
        if level == _ERROR:
            lines.append(text.decode(errors="replace").strip())

    callback = c.llama_log_callback(hear)
    c.llama_log_set(callback, ctypes.c_void_p(0))
    model = c.llama_model_load_from_file(str(path).encode(), model_params(c))
    c.llama_log_set(c.llama_log_callback(), ctypes.c_void_p(0))
    if model:
        c.llama_model_free(model)
        return None
    return " ".join(lines)


def _shape(text: str) -> list[int]:
    shape = [int(part) for part in text.split(",") if part.strip()]
    while len(shape) > 1 and shape[-1] == 1:
        shape.pop()
    return shape


def _value(text: str) -> zoo.Key:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        return [int(part) for part in text.strip("[]").split(",")]
    return float(text) if "." in text else int(text)


def _entry(architecture: str, keys: dict[str, zoo.Key], tensors: dict[str, list[int]]) -> str:
    known = ", ".join(f'"{key}" = {str(value).lower()}' for key, value in keys.items())
    layers = keys.get("block_count", zoo.LAYERS)
    assert isinstance(layers, int)
    words = " ".join(_words(tensors, layers))
    text = "\n".join(textwrap.wrap(words, 96, break_on_hyphens=False))
    return f'["{architecture}"]\nkeys = {{{known}}}\ntensors = """\n{text}\n"""\n'


def _words(tensors: dict[str, list[int]], layers: int) -> list[str]:
    """Those that every layer has in the same shape are one word."""
    words = []
    for name, shape in tensors.items():
        of_all = re.sub(r"\bblk\.\d+\.", "blk.*.", name)
        each = [tensors.get(of_all.replace("*", str(layer))) for layer in range(layers)]
        word = of_all if all(one == shape for one in each) else name
        words.append(f"{word}={'x'.join(map(str, shape))}")
    return list(dict.fromkeys(words))


if __name__ == "__main__":
    print(discover(sys.argv[1], sys.argv[2:]))
