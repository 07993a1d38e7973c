"""Graphics cards, as the machine's own tools tell of them.

nvidia-smi is run here and not by GPUtil, which waits for it without limit and gives up all cards
where one line of it is odd (docs/decisions/0013).
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from rbee.contract.nodes import DeviceMemory
from rbee.hive.hardware import cards

_DRM = Path("/sys/class/drm")
_WITHIN_S = 5
_DIES_WITHIN_S = 1.0
_LONGEST = 1 << 20
_NVIDIA = ["nvidia-smi", f"--query-gpu={cards.NVIDIA_FIELDS}", "--format=csv,noheader,nounits"]
_MAC = ["system_profiler", "SPDisplaysDataType", "-json"]


class Cards(msgspec.Struct, frozen=True):
    """`notes` say what could not be asked; `hung`: it is of no use to ask again soon."""

    devices: list[DeviceMemory] = []
    notes: list[str] = []
    hung: bool = False


class _ToolError(Exception):
    """What a tool did in place of an answer."""


def find(ram: DeviceMemory) -> Cards:
    """What there is, in at most some seconds. Blocks; raises nothing."""
    if sys.platform == "darwin":
        return _asked(_MAC, lambda told: cards.metal(told, ram))
    others = cards.amd(_of_amdgpu(_DRM))
    if shutil.which(_NVIDIA[0]) is None:
        return Cards(others)
    found = _asked(_NVIDIA, cards.nvidia)
    return msgspec.structs.replace(found, devices=[*found.devices, *others])


def _asked(command: Sequence[str], read: Callable[[str], list[DeviceMemory]]) -> Cards:
    tool = command[0]
    try:
        told = _output(command)
    except TimeoutError:
        return Cards(notes=[f"{tool} did not answer within {_WITHIN_S} s"], hung=True)
    except (OSError, _ToolError) as error:
        return Cards(notes=[f"{tool} failed: {error}"])
    found = read(told)
    if not found and told.strip():
        return Cards(notes=[f"{tool} said nothing that can be read: {_first_line(told)}"])
    return Cards(found)


def _output(command: Sequence[str]) -> str:
    """What it says, up to a mebibyte. Raises TimeoutError, OSError, and _ToolError with its own
    words."""
    process = subprocess.Popen(
        [*_bound(), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        told = _read(process.stdout.fileno(), time.monotonic() + _WITHIN_S)
        code = process.wait(_WITHIN_S) if len(told) < _LONGEST else 0
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_DIES_WITHIN_S)
        process.stdout.close()
    text = told.decode(errors="replace")
    if code != 0:
        raise _ToolError(_first_line(text) or f"it ended with code {code}")
    return text


def _read(descriptor: int, deadline: float) -> bytes:
    told = b""
    while len(told) < _LONGEST:
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise TimeoutError
        piece = os.read(descriptor, 65_536)
        if not piece:
            break
        told += piece
    return told


def _bound() -> list[str]:
    """A second limit, which also holds where this process is killed meanwhile."""
    tool = shutil.which("timeout")
    return [tool, "-s", "KILL", str(_WITHIN_S + 1)] if tool is not None else []


def _of_amdgpu(root: Path) -> Iterator[tuple[str, str, str]]:
    for device in sorted(root.glob("card*/device")):
        try:
            total, used = (
                (device / f"mem_info_vram_{what}").read_text().strip() for what in ("total", "used")
            )
        except OSError:
            continue
        try:
            name = (device / "product_name").read_text().strip()
        except OSError:
            name = ""
        yield name or f"AMD {device.parent.name}", total, used


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:200]
