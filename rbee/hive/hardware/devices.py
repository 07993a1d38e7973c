"""What this machine has: memory, disk, cards, and what llama.cpp can compute on."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

from rbee.contract.errors import ProgramFailed, RbeeError
from rbee.contract.nodes import DeviceMemory, Usable
from rbee.hive.hardware import card_tools as cards
from rbee.hive.hardware import device_choice as room
from rbee.hive.hardware.card_tools import Cards
from rbee.runtime import paths
from rbee.runtime.threads import in_thread

_DETECT_S = 60.0
_ASK_AGAIN_S = 60.0
_TOOLS = ("nvidia-smi", "rocm-smi", "vulkaninfo")
_NODES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dri/renderD128")
_ONLY_CPU = Usable(["cpu"], {"cpu": 1})
_log = logging.getLogger("device-manager")


class Hardware:
    """Asks the machine each time, but for the backends, which do not change under a hive."""

    def __init__(self, worker_command: Sequence[str]) -> None:
        self._worker_command = worker_command
        self._asking = asyncio.Lock()
        self._usable: Usable | None = None
        self._memory: tuple[float, list[DeviceMemory]] = (0.0, [])
        self._hung: tuple[float, Cards] | None = None

    @property
    def has_nvidia_tool(self) -> bool:
        """A sign of a card, for which nothing has to be run."""
        return shutil.which(_TOOLS[0]) is not None

    async def usable(self) -> Usable:
        """What llama.cpp can compute on. Only the worker knows it, so where there may be more than
        the CPU it is started to ask; that takes a second, once. Where it can't say, the CPU is
        what is left."""
        async with self._asking:
            if self._usable is None:
                self._usable = await self._usable_now() if _may_have_gpu() else _ONLY_CPU
            return self._usable

    async def cards(self) -> Cards:
        """The graphics cards that are here, usable or not. A tool that hung is left alone for a
        minute."""
        if self._hung is not None and time.monotonic() - self._hung[0] < _ASK_AGAIN_S:
            return self._hung[1]
        found = await in_thread(lambda: cards.find(ram()))
        self._hung = (time.monotonic(), found) if found.hung else None
        for note in found.notes:
            _log.warning("%s", note)
        return found

    async def memory(self, at_most_old_s: float = 0.0) -> list[DeviceMemory]:
        """Every device that can be computed on with its memory now, the machine's own last."""
        usable = await self.usable()
        if usable.backends == ["cpu"]:
            return [ram()]
        then, known = self._memory
        if not known or time.monotonic() - then > at_most_old_s:
            known = await self._gpus(usable)
            self._memory = time.monotonic(), known
        return [*known, ram()]

    async def ask_worker(self) -> Usable:
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
            out, errors = await asyncio.wait_for(process.communicate(), _DETECT_S)
            return msgspec.json.decode(out, type=Usable)
        except TimeoutError:
            raise _failed(f"it said nothing for {_DETECT_S:g} s") from None
        except msgspec.MsgspecError as error:
            raise _failed(errors.decode(errors="replace").strip()[-500:] or str(error)) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _usable_now(self) -> Usable:
        try:
            return await self.ask_worker()
        except RbeeError as error:
            _log.warning("only the CPU is used: %s", error.message)
            return _ONLY_CPU

    async def _gpus(self, usable: Usable) -> list[DeviceMemory]:
        """Quickly from the cards where they are the ones that llama.cpp has, else from itself."""
        told = [each for each in usable.memory if each.backend != "cpu"]
        if "CUDA_VISIBLE_DEVICES" not in os.environ and {each.backend for each in told} == {"cuda"}:
            now = room.same_cards(told, (await self.cards()).devices)
            if now is not None:
                return now
        fresh = await self._usable_now()
        return [each for each in fresh.memory if each.backend != "cpu"] or told


def ram() -> DeviceMemory:
    """The machine's own memory, in bytes; free is what can be had without swapping."""
    now = psutil.virtual_memory()
    return DeviceMemory("cpu", 0, "RAM", int(now.total), int(now.available))


def disk_free_bytes() -> int:
    """Where the state is kept."""
    return shutil.disk_usage(paths.state_dir()).free


def _may_have_gpu() -> bool:
    if sys.platform == "darwin":
        return True
    there = (Path(node).exists() for node in _NODES)
    return any(shutil.which(tool) for tool in _TOOLS) or any(there)


def _failed(reason: str) -> ProgramFailed:
    return ProgramFailed(program="llm-worker-rbee detect", reason=reason)
