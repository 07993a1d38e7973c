"""The tools that report graphics cards: read whatever they print, and no tool holds anybody up."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import psutil
import pytest

from rbee.contract.nodes import DeviceMemory
from rbee.hive.hardware.card_tools import FoundCards, find_cards
from rbee.hive.hardware.cards import parse_nvidia

GB = 10**9
RAM = DeviceMemory("cpu", 0, "RAM", 32 * GB, 20 * GB)
TWO = "0, 24564, 23000, NVIDIA GeForce RTX 4090\n1, 8192, 100, NVIDIA GeForce RTX 3070, Founders\n"


def test_the_amdgpu_driver_shows_total_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, total, product in (("card0", "17163091968", "Radeon RX 7800 XT"), ("card1", "x", "")):
        device = tmp_path / name / "device"
        device.mkdir(parents=True)
        (device / "mem_info_vram_total").write_text(f"{total}\n")
        (device / "mem_info_vram_used").write_text("163091968\n")
        if product:
            (device / "product_name").write_text(f"{product}\n")
    (tmp_path / "card2" / "device").mkdir(parents=True)  # another driver
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    found = find_cards(RAM, drm=tmp_path).devices
    assert found == [DeviceMemory("vulkan", 0, "Radeon RX 7800 XT", 17163091968, 17 * GB)]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvidia-smi whose body a test writes; nothing else is on this machine."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path / "nvidia-smi"


def find(within_s: float = 20.0) -> FoundCards:
    return find_cards(RAM, drm=Path("/nowhere"), within_s=within_s)


def write(tool: Path, body: str) -> None:
    tool.write_text(f"#!/bin/sh\n{body}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)


def test_what_the_tool_says_is_what_there_is(tool: Path) -> None:
    write(tool, f"echo '{TWO}'")
    found = find()
    assert (found.devices, found.notes) == (parse_nvidia(TWO), [])


def test_it_is_asked_for_what_is_read(tool: Path) -> None:
    write(tool, 'echo "$@" > "$0.asked"')
    find()
    asked = tool.with_name("nvidia-smi.asked").read_text().strip()
    assert asked == (
        "--query-gpu=index,memory.total,memory.free,name --format=csv,noheader,nounits"
    )


def test_without_the_tool_there_is_nothing_and_nothing_to_say(
    tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tool.parent))
    assert find() == FoundCards()


def test_a_tool_that_fails_is_reported_with_its_own_words(tool: Path) -> None:
    write(tool, "echo; echo 'No devices were found'; exit 6")
    found = find()
    assert (found.devices, found.hung) == ([], False)
    assert found.notes == ["nvidia-smi failed: No devices were found"]


def test_a_tool_that_fails_silently_is_reported_by_its_code(tool: Path) -> None:
    write(tool, "exit 6")
    assert find().notes == ["nvidia-smi failed: it ended with code 6"]


def test_a_tool_that_can_not_be_run_is_reported(tool: Path) -> None:
    tool.write_text("\x00\x01 no program")
    tool.chmod(0o755)
    [note] = find().notes
    assert note.startswith("nvidia-smi failed: ")


def test_garbage_is_reported_and_shows_no_control_characters(tool: Path) -> None:
    write(tool, r"printf '\033[2Jmilk, bread\n\377'")
    [note] = find().notes
    assert note == "nvidia-smi printed nothing that can be read: ?[2Jmilk, bread"


@pytest.mark.parametrize("before", ["", f"echo '{TWO}'", "exec >&-"])
def test_a_tool_that_hangs_is_killed_with_what_it_started(tool: Path, before: str) -> None:
    write(tool, f"trap '' TERM\nsleep 600 &\necho $! > \"$0.child\"\n{before}\nwait")
    began = time.monotonic()
    found = find(within_s=1)
    assert time.monotonic() - began < 10
    assert (found.devices, found.hung) == ([], True)
    assert found.notes == ["nvidia-smi did not answer within 1 s"]
    child = int(tool.with_name("nvidia-smi.child").read_text())
    assert not _lives(child)


def test_a_flood_is_read_no_further_than_it_makes_sense(tool: Path) -> None:
    write(tool, f"while :; do echo '{TWO}'; done")
    began = time.monotonic()
    assert find().devices == parse_nvidia(TWO)
    assert time.monotonic() - began < 10


def _lives(pid: int) -> bool:
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            return False
        time.sleep(0.02)
    return True
