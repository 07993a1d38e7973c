"""Backends by the names that people use, and which of them is the best."""

from __future__ import annotations

from collections.abc import Iterable

_SAME = {"mtl": "metal", "hip": "rocm"}
_BEST_FIRST = ("cuda", "rocm", "metal", "sycl", "vulkan")


def canonical(name: str) -> str:
    """The one way in which a backend is written, from llama.cpp's own word for it."""
    return _SAME.get(name.lower(), name.lower())


def best_first(names: Iterable[str]) -> list[str]:
    """A card's own backend before one for any card, and the CPU last, which is always there."""
    known = {name: place for place, name in enumerate(_BEST_FIRST)}
    others = set(names) - {"cpu"}
    return [*sorted(others, key=lambda name: (known.get(name, len(known)), name)), "cpu"]
