"""Quantizations as file names spell them, and which one is chosen when none is asked for."""

from __future__ import annotations

import re
from collections.abc import Collection

_TARGET_BITS = 4
_DEFAULT = "Q4_K_M"

# Between separators, so that `qwen2` or `f1` in a model's name is not taken for one.
_NAME = re.compile(
    r"(?:^|[-_. /])"
    r"(?P<name>(?:IQ|TQ|Q)[1-8](?:_[A-Z0-9]+)*|BF16|FP?16|FP?32|MXFP4(?:_MOE)?|NVFP4)"
    r"(?=[-. /]|$)",
    re.IGNORECASE,
)
_SAME = {"FP16": "F16", "FP32": "F32"}


def of_file(path: str) -> str | None:
    """The quantization in a file's path, such as Q4_K_M: the last one that it names, or None."""
    found = [match["name"] for match in _NAME.finditer(path.removesuffix(".gguf"))]
    return canonical(found[-1]) if found else None


def canonical(name: str) -> str:
    """The one spelling that is used for a quantization."""
    return _SAME.get(name.upper(), name.upper())


def bits(quantization: str) -> int:
    """Nominal bits per weight: 4 for Q4_K_M, 16 for BF16."""
    digits = re.search(r"\d+", quantization)
    return int(digits[0]) if digits else 0


def choose(offered: Collection[str]) -> str:
    """Q4_K_M if it is offered, otherwise the one nearest to 4 bits.

    At equal distance the larger one wins; among equals a K-quant, then the first by name.
    """
    return min(offered, key=_distance)


def by_size(offered: Collection[str]) -> list[str]:
    """Ordered from few bits to many."""
    return sorted(offered, key=lambda name: (bits(name), name))


def _distance(name: str) -> tuple[bool, int, int, bool, str]:
    return (
        name != _DEFAULT,
        abs(bits(name) - _TARGET_BITS),
        -bits(name),
        "_K" not in name,
        name,
    )
