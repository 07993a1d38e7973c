"""Graphics cards, as the machine's own tools report them.

nvidia-smi is run here and not by GPUtil, which waits for it without limit and drops all cards if
one line is odd (docs/decisions/0013).
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
_WITHIN_S = 5.0
_DIES_WITHIN_S = 1.0
_LONGEST = 1 << 20
_NVIDIA = ["nvidia-smi", f"--query-gpu={cards.NVIDIA_FIELDS}", "--format=csv,noheader,nounits"]
_MAC = ["system_profiler", "SPDisplaysDataType", "-json"]


class FoundCards(msgspec.Struct, frozen=True):
    """`notes` say what could not be asked; `hung`: a tool hung, so asking again soon is useless."""

    devices: list[DeviceMemory] = []
    notes: list[str] = []
    hung: bool = False


class _ToolError(Exception):
    """A tool did something else than answer."""


def find_cards(ram: DeviceMemory, drm: Path = _DRM, within_s: float = _WITHIN_S) -> FoundCards:
    """The graphics cards of this machine. Blocks, for not much longer than `within_s`; raises
    nothing."""
    if sys.platform == "darwin":
        return _ask(_MAC, lambda text: cards.parse_metal(text, ram), within_s)
    others = cards.parse_amd(_amdgpu_cards(drm))
    if shutil.which(_NVIDIA[0]) is None:
        return FoundCards(others)
    found = _ask(_NVIDIA, cards.parse_nvidia, within_s)
    return msgspec.structs.replace(found, devices=[*found.devices, *others])


def _ask(
    command: Sequence[str], parse: Callable[[str], list[DeviceMemory]], within_s: float
) -> FoundCards:
    tool = command[0]
    try:
        text = _output(command, within_s)
    except TimeoutError:
        return FoundCards(notes=[f"{tool} did not answer within {within_s:g} s"], hung=True)
    except (OSError, _ToolError) as error:
        return FoundCards(notes=[f"{tool} failed: {error}"])
    found = parse(text)
    if not found and text.strip():
        return FoundCards(notes=[f"{tool} printed nothing that can be read: {_first_line(text)}"])
    return FoundCards(found)


def _output(command: Sequence[str], within_s: float) -> str:
    """The tool's output, up to a mebibyte. Raises TimeoutError, OSError, and _ToolError with the
    tool's own words."""
    process = subprocess.Popen(
        [*_time_limit(within_s), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        output = _read(process.stdout.fileno(), time.monotonic() + within_s)
        code = process.wait(within_s) if len(output) < _LONGEST else 0
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_DIES_WITHIN_S)
        process.stdout.close()
    text = output.decode(errors="replace")
    if code != 0:
        raise _ToolError(_first_line(text) or f"it ended with code {code}")
    return text


def _read(descriptor: int, deadline: float) -> bytes:
    output = b""
    while len(output) < _LONGEST:
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise TimeoutError
        chunk = os.read(descriptor, 65_536)
        if not chunk:
            break
        output += chunk
    return output


def _time_limit(within_s: float) -> list[str]:
    """A second limit, which holds even if this process is killed meanwhile."""
    tool = shutil.which("timeout")
    return [tool, "-s", "KILL", f"{within_s + 1:g}"] if tool is not None else []


def _amdgpu_cards(root: Path) -> Iterator[tuple[str, str, str]]:
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
