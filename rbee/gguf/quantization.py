"""Which quantization is chosen when none is asked for."""

from __future__ import annotations

import re
from collections.abc import Collection

_TARGET_BITS = 4
_DEFAULT = "Q4_K_M"


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
