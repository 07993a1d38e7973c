"""The last look before a model is fetched or loaded: is there room for it, and a backend."""

from __future__ import annotations

import importlib.metadata
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from rbee.contract.nodes import DeviceMemory
from rbee.hive.hardware import advice
from rbee.hive.hardware import device_choice as room
from rbee.hive.hardware.devices import Hardware, ram
from rbee.hive.hardware.placement import (
    arithmetic,
    check_device,
    check_memory,
    choose_backend,
    required_bytes,
)
from rbee.runtime.narration import Say

_MANAGER = "device-manager"

# From bytes to the name of a model that fits into them.
Smaller: TypeAlias = Callable[[int], Awaitable[str | None]]


class Wish(msgspec.Struct, frozen=True):
    """Where a model shall run, as far as somebody said so; `force`: though it may not fit."""

    backend: str | None = None
    device: int | None = None
    force: bool = False


class Preflight:
    """Asks the hardware; what follows from it is decided in `core`."""

    def __init__(self, hardware: Hardware, say: Say) -> None:
        self._hardware = hardware
        self._say = say

    async def place(self, wish: Wish) -> DeviceMemory:
        """The device whose memory counts. Of a backend that llama.cpp has not been built for that
        is the card's own; without either it is the machine's memory."""
        backend = wish.backend or (await self._hardware.usable()).backends[0]
        if backend == "cpu":
            return ram()
        found = room.choose(backend, wish.device, await self._hardware.memory())
        if found is None and backend in advice.BUILDS:
            there = advice.as_backend(backend, (await self._hardware.cards()).devices)
            found = room.choose(backend, wish.device, there)
        return found or ram()

    async def _largest(self) -> DeviceMemory:
        """The device with the most memory in all."""
        devices = await self._hardware.memory()
        return max(devices, key=lambda each: each.memory_total_bytes)

    async def check_memory(
        self, wish: Wish, place: DeviceMemory, size: int, kv: int, smaller: Smaller
    ) -> None:
        """Raises VRAM_EXHAUSTED, unless forced, and tells how it comes about. `smaller` names what
        would fit into as many bytes."""
        free, name = place.memory_free_bytes, room.label(place)
        required = required_bytes(size, kv)
        told = arithmetic(size, kv, free) + ("" if name == "cpu" else f" on {name}")
        if required <= free:
            self._say(_MANAGER, "🧮", f"worker preflight: memory is enough, {told}")
        elif wish.force:
            told = f"memory is not enough, {told}; it is loaded all the same, as forced"
            self._say(_MANAGER, "⚠️", f"worker preflight: {told}")
        else:
            check_memory(required, free, socket.gethostname(), name, await smaller(free))

    async def check_download(
        self, wish: Wish | None, required: int, smaller: Callable[[int], str | None]
    ) -> None:
        """Before a model is fetched: to be run as the wish is, else some time. As `check_memory`,
        but it says nothing where all is well."""
        place = await self.place(wish) if wish is not None else await self._largest()
        room_there = place.memory_free_bytes if wish is not None else place.memory_total_bytes
        if wish is not None and wish.force:
            return
        check_memory(
            required,
            room_there,
            socket.gethostname(),
            room.label(place),
            smaller(room_there),
            in_all=wish is None,
        )

    async def choose(self, wish: Wish, place: DeviceMemory) -> tuple[str, int]:
        """The backend and the device to start a worker with. Raises BACKEND_UNAVAILABLE."""
        usable = await self._hardware.usable()
        command = None
        if wish.backend is not None and wish.backend not in usable.backends:
            command = await self._reinstall(wish.backend)
        backend = choose_backend(wish.backend, usable.backends, command)
        check_device(backend, wish.device, usable.devices)
        index = wish.device
        if index is None:
            index = place.index if place.backend == backend else 0
        told = f"worker preflight: the backend {backend} is there"
        if backend != "cpu":
            told += f", device {index}"
        elif wish.backend is None and self._hardware.has_nvidia_tool:
            told += "; what it takes to use the graphics card is told by: rbee-hive detect"
        self._say(_MANAGER, "🔌", told)
        return backend, index

    async def _reinstall(self, backend: str) -> str | None:
        """The command that gives llama.cpp a backend for which the hardware is here."""
        if backend not in advice.BUILDS:
            return None
        cards = (await self._hardware.cards()).devices
        return reinstall(backend) if advice.as_backend(backend, cards) else None


def reinstall(backend: str) -> str:
    """For this installation."""
    try:
        version = importlib.metadata.version("llama-cpp-python")
    except importlib.metadata.PackageNotFoundError:
        version = None
    return advice.reinstall(backend, sys.executable, version)
