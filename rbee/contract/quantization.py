"""Quantizations as references and file names spell them."""

from __future__ import annotations

import re

# Between separators, so that `qwen2` or `f1` in a model's name is not taken for one.
_NAME = (
    r"(?i)(?:^|[-_. /])"
    r"(?P<name>(?:IQ|TQ|Q)[1-8](?:_[A-Z0-9]+)*|BF16|FP?16|FP?32|MXFP4(?:_MOE)?|NVFP4)"
    r"(?=[-. /]|$)"
)
_SAME = {"FP16": "F16", "FP32": "F32"}


def of_file(path: str) -> str | None:
    """The quantization in a file's path, such as Q4_K_M: the last one that it names, or None."""
    found = [match["name"] for match in re.finditer(_NAME, path.removesuffix(".gguf"))]
    return canonical(found[-1]) if found else None


def canonical(name: str) -> str:
    """The one spelling that is used for a quantization."""
    return _SAME.get(name.upper(), name.upper())
