"""Graphics cards: what tools say of them, parsed without trust, and which backends can use them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence

import msgspec

from rbee.contract.nodes import DeviceMemory, Usable

# What `parse_nvidia` reads, in this order: the name is last, since it may contain a comma.
NVIDIA_FIELDS = "index,memory.total,memory.free,name"
# The backends that llama.cpp can be built for, with its own names for them.
BUILDS = {"cuda": "CUDA", "metal": "METAL", "vulkan": "VULKAN", "rocm": "HIP"}
_PACKAGE = "llama-cpp-python"
_MIB, _GIB = 1 << 20, 1 << 30
_MOST_MIB = 1 << 24
_UNITS = {"MB": _MIB, "GB": _GIB}
_METAL_KEYS = ("spdisplays_mtlgpufamilysupport", "spdisplays_metalfamily", "spdisplays_metal")

# The backends of llama.cpp that can use a card, the best one first.
_BACKENDS = {"cuda": ("cuda", "vulkan"), "vulkan": ("vulkan", "rocm"), "metal": ("metal",)}


def parse_nvidia(text: str) -> list[DeviceMemory]:
    """The cards in nvidia-smi's CSV without header and units; other lines are skipped.

    A card that can't report its memory, such as one that shares the machine's, has a total of 0.
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


def parse_metal(text: str, ram: DeviceMemory) -> list[DeviceMemory]:
    """The cards in system_profiler's JSON (SPDisplaysDataType) that Metal can use. A card without
    memory of its own uses the machine's."""
    try:
        displays = json.loads(text)["SPDisplaysDataType"]
        found = [display for display in displays if _has_metal(display)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    cards = []
    for index, display in enumerate(found):
        own = re.fullmatch(r"([0-9]{1,6}) (MB|GB)", str(display.get("spdisplays_vram", "")))
        total = int(own[1]) * _UNITS[own[2]] if own else ram.memory_total_bytes
        free = total if own else ram.memory_free_bytes
        name = str(display.get("sppci_model") or display.get("_name") or "graphics")
        cards.append(DeviceMemory("metal", index, name, total, free))
    return cards


def parse_amd(reported: Iterable[tuple[str, str, str]]) -> list[DeviceMemory]:
    """The cards of the amdgpu driver, from name, total bytes and used bytes."""
    cards: list[DeviceMemory] = []
    for name, total, used in reported:
        if total.isdecimal() and used.isdecimal():
            free = max(int(total) - int(used), 0)
            cards.append(DeviceMemory("vulkan", len(cards), name, int(total), free))
    return cards


def backends_of(card: DeviceMemory) -> tuple[str, ...]:
    """The backends that can use the card, the one to recommend first."""
    return _BACKENDS.get(card.backend, (card.backend,))


def as_backend(backend: str, cards: Sequence[DeviceMemory]) -> list[DeviceMemory]:
    """The cards that `backend` could use, as its devices."""
    able = [card for card in cards if backend in backends_of(card)]
    return [msgspec.structs.replace(card, backend=backend) for card in able]


def missing_backends(usable: Usable, cards: Sequence[DeviceMemory]) -> list[str]:
    """The backends that would make use of the cards that llama.cpp can't use now."""
    unused = [card for card in cards if not set(backends_of(card)) & set(usable.backends)]
    return list(dict.fromkeys(backends_of(card)[0] for card in unused))


def differences(usable: Usable, cards: Sequence[DeviceMemory]) -> list[str]:
    """A sentence for each backend with which llama.cpp can use some of the cards, but not all."""
    notes = []
    for backend in dict.fromkeys(card.backend for card in cards):
        present = sum(card.backend == backend for card in cards)
        seen = usable.devices.get(backend, 0)
        if 0 < seen < present:
            notes.append(f"llama.cpp sees {seen} of the {present} {backend} devices")
    return notes


def reinstall_command(backend: str, python: str, version: str | None) -> str:
    """The shell command that builds llama.cpp for `backend`. `version` is that of the installed
    package: rbee may not work with a newer one."""
    package = f"{_PACKAGE}=={version}" if version else _PACKAGE
    options = f"--force-reinstall --no-cache-dir --no-binary {_PACKAGE}"
    flag = f"CMAKE_ARGS=-DGGML_{BUILDS[backend]}=on"
    return f"{flag} {shlex.quote(python)} -m pip install {options} {package}"


def _has_metal(display: dict[str, object]) -> bool:
    return any("metal" in str(display.get(key)) for key in _METAL_KEYS)


def _is_name(text: str) -> bool:
    return bool(text) and text.isprintable() and len(text) <= 128


def _mib(text: str) -> int | None:
    """`[N/A]` and the like are 0; anything else that is not a plausible number is None."""
    if re.fullmatch(r"\[[A-Za-z/ ]+\]|N/A", text):
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return None
    return int(text) if int(text) <= _MOST_MIB else None
