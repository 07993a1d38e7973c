"""What this machine has: memory, disk, and what llama.cpp can compute on."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence

import msgspec
import psutil

from rbee.contract.errors import ProgramFailed
from rbee.contract.nodes import DeviceMemory
from rbee.runtime import paths

_DETECT_S = 60.0


class Hardware:
    """Asks the machine each time, but for the backends, which do not change under a hive."""

    def __init__(self, worker_command: Sequence[str]) -> None:
        self._worker_command = worker_command
        self._backends: list[str] | None = None

    async def backends(self) -> list[str]:
        """The backends, the best first. Only the worker knows llama.cpp, so where there may be
        more than the CPU it is started to ask; that takes a second, once."""
        if self._backends is None:
            self._backends = await self._detect() if _may_have_gpu() else ["cpu"]
        return self._backends

    async def devices(self) -> dict[str, int]:
        """How many devices each backend has."""
        return dict.fromkeys(await self.backends(), 1)

    async def _detect(self) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            *self._worker_command,
            "detect",
            "--json",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            out, errors = await asyncio.wait_for(process.communicate(), _DETECT_S)
            found = msgspec.json.decode(out)["backends"]
        except (TimeoutError, msgspec.MsgspecError, KeyError, TypeError) as error:
            if process.returncode is None:
                process.kill()
                await process.wait()
            told = str(error) if isinstance(error, TimeoutError) else errors.decode()[-500:]
            raise ProgramFailed(program="llm-worker-rbee detect", reason=told) from None
        return [str(name) for name in found]


def memory() -> DeviceMemory:
    """The machine's own memory, in bytes; free is what can be had without swapping."""
    now = psutil.virtual_memory()
    return DeviceMemory("cpu", 0, "RAM", int(now.total), int(now.available))


def disk_free_bytes() -> int:
    """Where the state is kept."""
    return shutil.disk_usage(paths.state_dir()).free


def _may_have_gpu() -> bool:
    if sys.platform == "darwin":
        return True
    return any(shutil.which(tool) for tool in ("nvidia-smi", "rocm-smi", "vulkaninfo"))
