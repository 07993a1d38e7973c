"""The command that has llama.cpp built for a card that is there."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import msgspec

from rbee.contract.nodes import DeviceMemory, Usable
from rbee.hive.hardware.cards import computes

# Backends that llama.cpp can be built for, and its own names for them.
BUILDS = {"cuda": "CUDA", "metal": "METAL", "vulkan": "VULKAN", "rocm": "HIP"}
_PACKAGE = "llama-cpp-python"


def reinstall(backend: str, python: str, version: str | None) -> str:
    """As it is typed into a shell on the node. `version` is that of the installed package, since
    rbee need not know what a newer one does."""
    exactly = f"{_PACKAGE}=={version}" if version else _PACKAGE
    options = f"--force-reinstall --no-cache-dir --no-binary {_PACKAGE}"
    flag = f"CMAKE_ARGS=-DGGML_{BUILDS[backend]}=on"
    return f"{flag} {shlex.quote(python)} -m pip install {options} {exactly}"


def missing(usable: Usable, cards: Sequence[DeviceMemory]) -> list[str]:
    """The backends that would put to use the cards which llama.cpp can't use."""
    unused = [card for card in cards if not set(computes(card)) & set(usable.backends)]
    return list(dict.fromkeys(computes(card)[0] for card in unused))


def as_backend(backend: str, cards: Sequence[DeviceMemory]) -> list[DeviceMemory]:
    """The cards that `backend` could compute on, as its devices."""
    able = [card for card in cards if backend in computes(card)]
    return [msgspec.structs.replace(card, backend=backend) for card in able]


def differences(usable: Usable, cards: Sequence[DeviceMemory]) -> list[str]:
    """Where llama.cpp can use some of the cards, but not all: in words."""
    told = []
    for backend in dict.fromkeys(card.backend for card in cards):
        there = sum(card.backend == backend for card in cards)
        seen = usable.devices.get(backend, 0)
        if 0 < seen < there:
            told.append(f"llama.cpp sees {seen} of the {there} {backend} devices")
    return told
