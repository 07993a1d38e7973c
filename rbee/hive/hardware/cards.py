"""What tools say of graphics cards, read with as little trust as they deserve."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from rbee.contract.nodes import DeviceMemory

# What `nvidia` reads, in this order: the name stands last, since it may hold a comma.
NVIDIA_FIELDS = "index,memory.total,memory.free,name"
_MIB, _GIB = 1 << 20, 1 << 30
_MOST_MIB = 1 << 24
_UNITS = {"MB": _MIB, "GB": _GIB}
_METAL_KEYS = ("spdisplays_mtlgpufamilysupport", "spdisplays_metalfamily", "spdisplays_metal")

# Which backends of llama.cpp compute on a card, by the one that suits it best.
_COMPUTES = {"cuda": ("cuda", "vulkan"), "vulkan": ("vulkan", "rocm"), "metal": ("metal",)}


def computes(card: DeviceMemory) -> tuple[str, ...]:
    """The backends that can use the card, the one to recommend first."""
    return _COMPUTES.get(card.backend, (card.backend,))


def nvidia(text: str) -> list[DeviceMemory]:
    """The cards in nvidia-smi's CSV without header and units; lines that say no card are left out.

    A card of which it can't tell the memory, as one that shares the machine's own, has a total
    of 0.
    """
    found: dict[int, DeviceMemory] = {}
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",", 3)]
        if len(parts) < 4 or not re.fullmatch(r"[0-9]{1,3}", parts[0]) or not _is_name(parts[3]):
            continue
        total, free = _mib(parts[1]), _mib(parts[2])
        if total is None or free is None:
            continue
        index = int(parts[0])
        card = DeviceMemory("cuda", index, parts[3], total * _MIB, min(free, total) * _MIB)
        found.setdefault(index, card)
    return [found[index] for index in sorted(found)]


def metal(text: str, ram: DeviceMemory) -> list[DeviceMemory]:
    """The cards in system_profiler's JSON (SPDisplaysDataType) that Metal can use. One without
    memory of its own has the machine's."""
    try:
        displays = json.loads(text)["SPDisplaysDataType"]
        found = [each for each in displays if _has_metal(each)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    cards = []
    for index, each in enumerate(found):
        own = re.fullmatch(r"([0-9]{1,6}) (MB|GB)", str(each.get("spdisplays_vram", "")))
        total = int(own[1]) * _UNITS[own[2]] if own else ram.memory_total_bytes
        free = total if own else ram.memory_free_bytes
        name = str(each.get("sppci_model") or each.get("_name") or "graphics")
        cards.append(DeviceMemory("metal", index, name, total, free))
    return cards


def amd(told: Iterable[tuple[str, str, str]]) -> list[DeviceMemory]:
    """The cards of which the amdgpu driver tells name, bytes in all, and bytes in use."""
    cards: list[DeviceMemory] = []
    for name, total, used in told:
        if total.isdecimal() and used.isdecimal():
            free = max(int(total) - int(used), 0)
            cards.append(DeviceMemory("vulkan", len(cards), name, int(total), free))
    return cards


def _has_metal(display: dict[str, object]) -> bool:
    return any("metal" in str(display.get(key)) for key in _METAL_KEYS)


def _is_name(text: str) -> bool:
    return bool(text) and text.isprintable() and len(text) <= 128


def _mib(text: str) -> int | None:
    """`[N/A]` and its like are 0; what is neither that nor a number of this world is None."""
    if re.fullmatch(r"\[[A-Za-z/ ]+\]|N/A", text):
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return None
    return int(text) if int(text) <= _MOST_MIB else None
