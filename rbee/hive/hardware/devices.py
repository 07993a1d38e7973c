"""The devices of this machine: memory, graphics cards, and what llama.cpp can compute on."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rbee import __version__
from rbee.contract.errors import ProgramFailed, RbeeError
from rbee.contract.nodes import Detected, DeviceMemory, Usable
from rbee.hive.hardware import cards, placement
from rbee.hive.hardware.card_tools import FoundCards, find_cards
from rbee.runtime import paths
from rbee.runtime.concurrency import in_thread
from rbee.runtime.memory import main_memory

DETECT_WITHIN_S = 60.0
_ASK_AGAIN_S = 60.0
_TOOLS = ("nvidia-smi", "rocm-smi", "vulkaninfo")
_DEVICE_FILES = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dri/renderD128"))
_ONLY_CPU = Usable(["cpu"], {"cpu": 1})
_log = logging.getLogger("device-manager")


class Hardware:
    """Asks the machine each time, except for the backends, which don't change under a hive."""

    def __init__(
        self,
        worker_command: Sequence[str],
        find_cards: Callable[[DeviceMemory], FoundCards] = find_cards,
        may_have_gpu: Callable[[], bool] | None = None,
        within_s: float = DETECT_WITHIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`within_s` is how long the worker's program may take to answer."""
        self._worker_command = worker_command
        self._find_cards = find_cards
        self._may_have_gpu = may_have_gpu or has_gpu_signs
        self._within_s = within_s
        self._clock = clock
        self._asking = asyncio.Lock()
        self._usable: Usable | None = None
        self._memory: tuple[float, list[DeviceMemory]] = (0.0, [])
        self._hung: tuple[float, FoundCards] | None = None

    @property
    def has_nvidia_tool(self) -> bool:
        """A sign of a card that nothing has to be run for."""
        return shutil.which(_TOOLS[0]) is not None

    async def usable(self) -> Usable:
        """What llama.cpp can compute on; if that can't be found out, the CPU.

        Only the worker's program knows, so if there may be more than the CPU, it is started to
        ask. That takes a second, once.
        """
        async with self._asking:
            if self._usable is None:
                self._usable = await self._usable_now() if self._may_have_gpu() else _ONLY_CPU
            return self._usable

    async def cards(self) -> FoundCards:
        """The graphics cards that are here, usable or not. A tool that hung is not asked again for
        a minute."""
        if self._hung is not None and self._clock() - self._hung[0] < _ASK_AGAIN_S:
            return self._hung[1]
        found = await in_thread(lambda: self._find_cards(ram()))
        self._hung = (self._clock(), found) if found.hung else None
        for note in found.notes:
            _log.warning("%s", note)
        return found

    @property
    def cards_seen_at(self) -> float:
        """When the cards were asked for their memory that was returned last, by the clock."""
        return self._memory[0]

    async def memory(self, at_most_old_s: float = 0.0) -> list[DeviceMemory]:
        """Every usable device with its memory now, the machine's own last."""
        usable = await self.usable()
        if usable.backends == ["cpu"]:
            return [ram()]
        then, known = self._memory
        if not known or self._clock() - then > at_most_old_s:
            asked_at = self._clock()
            known = await self._gpus(usable)
            self._memory = asked_at, known
        return [*known, ram()]

    async def detect(self) -> Detected:
        """What the machine has, beside what the installed llama.cpp can use of it. Raises nothing:
        what can't be asked is said in the notes."""
        found = await self.cards()
        notes = list(found.notes)
        try:
            usable = await self._ask_worker()
        except RbeeError as error:
            usable = _ONLY_CPU
            notes.append(f"llama.cpp can't be asked what it can use: {error.message}")
        notes += cards.differences(usable, found.devices)
        return Detected(
            version=__version__,
            hardware=[*found.devices, ram()],
            backends=usable.backends,
            devices=usable.devices,
            advice=[
                reinstall_command_here(backend)
                for backend in cards.missing_backends(usable, found.devices)
            ],
            notes=notes,
            time_unix=time.time(),
        )

    async def _ask_worker(self) -> Usable:
        """What the worker's program says. Raises PROGRAM_FAILED."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._worker_command,
                "detect",
                "--json",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise _failed(error.strerror or str(error)) from None
        try:
            out, errors = await asyncio.wait_for(process.communicate(), self._within_s)
            return msgspec.json.decode(out, type=Usable)
        except TimeoutError:
            raise _failed(f"it did not answer within {self._within_s:g} s") from None
        except msgspec.MsgspecError as error:
            raise _failed(errors.decode(errors="replace").strip()[-500:] or str(error)) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _usable_now(self) -> Usable:
        try:
            return await self._ask_worker()
        except RbeeError as error:
            _log.warning("only the CPU is used: %s", error.message)
            return _ONLY_CPU

    async def _gpus(self, usable: Usable) -> list[DeviceMemory]:
        """From the cards' tools, which is quick, if they are the devices that llama.cpp has;
        otherwise from llama.cpp itself."""
        known = [device for device in usable.memory if device.backend != "cpu"]
        only_cuda = {device.backend for device in known} == {"cuda"}
        if only_cuda and "CUDA_VISIBLE_DEVICES" not in os.environ:
            now = placement.same_cards(known, (await self.cards()).devices)
            if now is not None:
                return now
        fresh = await self._usable_now()
        return [device for device in fresh.memory if device.backend != "cpu"] or known


def ram() -> DeviceMemory:
    """The machine's own memory, in bytes, or what a container has of it; free is what can be had
    without swapping."""
    now = main_memory()
    return DeviceMemory("cpu", 0, "RAM", now.total, now.available)


def disk_free_bytes() -> int:
    """On the disk that holds the state."""
    return shutil.disk_usage(paths.state_dir()).free


def reinstall_command_here(backend: str) -> str:
    """The command that builds this installation's llama.cpp for `backend`."""
    from importlib import metadata

    try:
        version = metadata.version("llama-cpp-python")
    except metadata.PackageNotFoundError:
        version = None
    return cards.reinstall_command(backend, sys.executable, version)


def has_gpu_signs(device_files: Sequence[Path] = _DEVICE_FILES) -> bool:
    """Whether there may be a graphics card: a tool or a device file that comes with one."""
    if sys.platform == "darwin":
        return True
    return any(shutil.which(tool) for tool in _TOOLS) or any(file.exists() for file in device_files)


def _failed(reason: str) -> ProgramFailed:
    return ProgramFailed(program="llm-worker-rbee detect", reason=reason)
