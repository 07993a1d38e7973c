"""The checks before a model is fetched or loaded: is there memory for it, and a backend."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from rbee.contract.nodes import DeviceMemory
from rbee.gguf.memory import required_bytes
from rbee.hive.hardware import cards, placement
from rbee.hive.hardware.devices import Hardware, ram, reinstall_command_here
from rbee.runtime.narration import Say

_MANAGER = "device-manager"
_RETURNS_WITHIN_S, _LOOK_EVERY_S = 3.0, 0.25

# From bytes to the name of a model that fits into them.
FindFitting: TypeAlias = Callable[[int], Awaitable[str | None]]


class DeviceRequest(msgspec.Struct, frozen=True):
    """Where a model is to run, as far as the client said; `force`: even if it may not fit."""

    backend: str | None = None
    device: int | None = None
    force: bool = False


class Preflight:
    """Asks the hardware, and applies the rules of `placement`."""

    def __init__(
        self,
        hardware: Hardware,
        say: Say,
        returns_within_s: float = _RETURNS_WITHIN_S,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        """`returns_within_s`: how long a driver may take to give back the memory of a process that
        has ended; `look_every_s`: how often it is looked at meanwhile."""
        self._hardware = hardware
        self._say = say
        self._returns_within_s = returns_within_s
        self._look_every_s = look_every_s
        self._expected_until = -math.inf

    def expect_memory(self) -> None:
        """A worker has ended: its memory may come back a moment later."""
        self._expected_until = time.monotonic() + self._returns_within_s

    async def memory_device(self, request: DeviceRequest, required: int = 0) -> DeviceMemory:
        """The device whose memory counts. If it has not `required` bytes free, memory that is
        expected back is waited for."""
        while True:
            device = await self._memory_device(request)
            is_enough = request.force or device.memory_free_bytes >= required
            if is_enough or time.monotonic() >= self._expected_until:
                return device
            await asyncio.sleep(self._look_every_s)

    async def _memory_device(self, request: DeviceRequest) -> DeviceMemory:
        """For a backend that llama.cpp was not built for, it is the card that the backend would
        use; if there is none either, the machine's memory."""
        backend = request.backend or (await self._hardware.usable()).backends[0]
        if backend == "cpu":
            return ram()
        device = placement.choose_device(backend, request.device, await self._hardware.memory())
        if device is None and backend in cards.BUILDS:
            unused = cards.as_backend(backend, (await self._hardware.cards()).devices)
            device = placement.choose_device(backend, request.device, unused)
        return device or ram()

    async def check_memory(
        self,
        request: DeviceRequest,
        device: DeviceMemory,
        size: int,
        kv: int,
        find_fitting: FindFitting,
    ) -> None:
        """Raise VRAM_EXHAUSTED if the model does not fit, unless forced; narrates the arithmetic.
        `size` and `kv` are bytes."""
        free, name = device.memory_free_bytes, placement.label(device)
        required = required_bytes(size, kv)
        sums = placement.arithmetic(size, kv, free) + ("" if name == "cpu" else f" on {name}")
        if required <= free:
            self._say(_MANAGER, "🧮", f"worker preflight: memory is enough, {sums}")
        elif request.force:
            text = f"memory is not enough, {sums}; loading anyway (--force)"
            self._say(_MANAGER, "⚠️", f"worker preflight: {text}")
        else:
            node, fitting = socket.gethostname(), await find_fitting(free)
            placement.require_memory(required, free, node, name, fitting)

    async def check_download(
        self,
        request: DeviceRequest | None,
        required: int,
        find_fitting: Callable[[int], str | None],
    ) -> None:
        """Raise VRAM_EXHAUSTED if a model of `required` bytes is not worth fetching. With a
        `request` it is to run now, so free memory counts; otherwise all the memory of the largest
        device does."""
        if request is not None:
            if request.force:
                return
            device = await self.memory_device(request, required)
            available = device.memory_free_bytes
        else:
            devices = await self._hardware.memory()
            device = max(devices, key=lambda each: each.memory_total_bytes)
            available = device.memory_total_bytes
        placement.require_memory(
            required,
            available,
            socket.gethostname(),
            placement.label(device),
            find_fitting(available),
            in_all=request is None,
        )

    async def backend_and_device(
        self, request: DeviceRequest, memory_device: DeviceMemory
    ) -> tuple[str, int]:
        """The backend and the device to start a worker with. Raises BACKEND_UNAVAILABLE."""
        usable = await self._hardware.usable()
        command = None
        if request.backend is not None and request.backend not in usable.backends:
            command = await self._reinstall(request.backend)
        backend = placement.choose_backend(request.backend, usable.backends, command)
        placement.require_device(backend, request.device, usable.devices)
        index = request.device
        if index is None:
            index = memory_device.index if memory_device.backend == backend else 0
        text = f"worker preflight: the backend {backend} is there"
        if backend != "cpu":
            text += f", device {index}"
        elif request.backend is None and self._hardware.has_nvidia_tool:
            text += "; to find out how to use the graphics card, run: rbee-hive detect"
        self._say(_MANAGER, "🔌", text)
        return backend, index

    async def _reinstall(self, backend: str) -> str | None:
        """The command that adds a backend to llama.cpp, if there is hardware for it."""
        if backend not in cards.BUILDS:
            return None
        found = (await self._hardware.cards()).devices
        return reinstall_command_here(backend) if cards.as_backend(backend, found) else None
