"""Graphics cards: what tools say of them is read with care, and no tool holds anybody up."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.nodes import DeviceMemory
from rbee.hive.hardware import card_tools as adapter
from rbee.hive.hardware import cards

MIB, GB = 1 << 20, 10**9
RAM = DeviceMemory("cpu", 0, "RAM", 32 * GB, 20 * GB)
TWO = "0, 24564, 23000, NVIDIA GeForce RTX 4090\n1, 8192, 100, NVIDIA GeForce RTX 3070, Founders\n"

# As macOS 14 prints it, of an Apple M2 Pro with a screen.
APPLE = {
    "SPDisplaysDataType": [
        {
            "_name": "Apple M2 Pro",
            "spdisplays_mtlgpufamilysupport": "spdisplays_metal3",
            "spdisplays_ndrvs": [{"_name": "LG HDR 4K", "spdisplays_main": "spdisplays_yes"}],
            "spdisplays_vendor": "sppci_vendor_Apple",
            "sppci_bus": "spdisplays_builtin",
            "sppci_cores": "19",
            "sppci_device_type": "spdisplays_gpu",
            "sppci_model": "Apple M2 Pro",
        }
    ]
}
INTEL = {
    "SPDisplaysDataType": [
        {
            "_name": "kHW_AMDRadeonPro5500MItem",
            "spdisplays_mtlgpufamilysupport": "spdisplays_metal3",
            "spdisplays_vram": "8 GB",
            "sppci_model": "AMD Radeon Pro 5500M",
        },
        {"_name": "Old", "spdisplays_vram": "256 MB", "sppci_model": "GeForce 9400M"},
    ]
}


def test_each_card_has_its_number_its_name_and_its_memory() -> None:
    assert cards.nvidia(TWO) == [
        DeviceMemory("cuda", 0, "NVIDIA GeForce RTX 4090", 24564 * MIB, 23000 * MIB),
        DeviceMemory("cuda", 1, "NVIDIA GeForce RTX 3070, Founders", 8192 * MIB, 100 * MIB),
    ]


def test_cards_are_in_the_order_of_their_numbers() -> None:
    swapped = "".join(f"{line}\n" for line in reversed(TWO.splitlines()))
    assert cards.nvidia(swapped) == cards.nvidia(TWO)


def test_a_card_that_shares_the_machines_memory_is_there_without_a_size() -> None:
    [card] = cards.nvidia("0, [N/A], [N/A], NVIDIA GB10\n")
    assert (card.name, card.memory_total_bytes, card.memory_free_bytes) == ("NVIDIA GB10", 0, 0)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "milk, bread",
        "x, 1, 1, card",
        "-1, 1, 1, card",
        "0, -5, 1, card",
        "0, 1e3, 1, card",
        "0, 99999999999999999999, 1, card",
        "0, 200000000, 1, card",
        "0, nan, inf, card",
        "0, 1, 1, ",
        "0, 1, 1, \x1b[2Jcard",
        "NVIDIA-SMI has failed because it couldn't communicate, with, the, driver",
        "٣, 1, 1, card",
    ],
)
def test_a_line_that_says_no_card_is_left_out_and_the_others_stay(line: str) -> None:
    assert cards.nvidia(f"{line}\n{TWO}{line}") == cards.nvidia(TWO)


def test_a_number_that_comes_twice_is_one_card() -> None:
    assert cards.nvidia(TWO + TWO) == cards.nvidia(TWO)


def test_more_free_than_there_is_is_all_that_there_is() -> None:
    [card] = cards.nvidia("0, 100, 200, card")
    assert card.memory_free_bytes == card.memory_total_bytes == 100 * MIB


@given(st.text())
def test_whatever_it_says_is_survived(text: str) -> None:
    for card in cards.nvidia(text):
        assert 0 <= card.memory_free_bytes <= card.memory_total_bytes
    assert cards.metal(text, RAM) == []


def test_a_mac_without_memory_of_its_own_for_graphics_has_the_machines() -> None:
    wanted = DeviceMemory("metal", 0, "Apple M2 Pro", 32 * GB, 20 * GB)
    assert cards.metal(json.dumps(APPLE), RAM) == [wanted]


def test_a_mac_with_a_card_has_the_cards_and_only_those_that_metal_can_use() -> None:
    wanted = DeviceMemory("metal", 0, "AMD Radeon Pro 5500M", 8 << 30, 8 << 30)
    assert cards.metal(json.dumps(INTEL), RAM) == [wanted]


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"SPDisplaysDataType": [1, null]}', "7"])
def test_json_of_another_shape_names_no_card(text: str) -> None:
    assert cards.metal(text, RAM) == []


def test_the_amdgpu_driver_tells_total_and_used(tmp_path: Path) -> None:
    for name, total, product in (("card0", "17163091968", "Radeon RX 7800 XT"), ("card1", "x", "")):
        device = tmp_path / name / "device"
        device.mkdir(parents=True)
        (device / "mem_info_vram_total").write_text(f"{total}\n")
        (device / "mem_info_vram_used").write_text("163091968\n")
        if product:
            (device / "product_name").write_text(f"{product}\n")
    (tmp_path / "card2" / "device").mkdir(parents=True)  # another driver
    told = cards.amd(adapter._of_amdgpu(tmp_path))
    assert told == [DeviceMemory("vulkan", 0, "Radeon RX 7800 XT", 17163091968, 17 * GB)]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvidia-smi whose body a test writes; nothing else is on this machine."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(adapter, "_DRM", tmp_path / "none")
    monkeypatch.setattr(adapter, "_WITHIN_S", 1)
    return tmp_path / "nvidia-smi"


def write(tool: Path, body: str) -> None:
    tool.write_text(f"#!/bin/sh\n{body}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)


def test_what_the_tool_says_is_what_there_is(tool: Path) -> None:
    write(tool, f"echo '{TWO}'")
    found = adapter.find(RAM)
    assert (found.devices, found.notes) == (cards.nvidia(TWO), [])


def test_it_is_asked_for_what_is_read(tool: Path) -> None:
    write(tool, 'echo "$@" > "$0.asked"')
    adapter.find(RAM)
    asked = tool.with_name("nvidia-smi.asked").read_text().strip()
    assert asked == (
        "--query-gpu=index,memory.total,memory.free,name --format=csv,noheader,nounits"
    )


def test_without_the_tool_there_is_nothing_and_nothing_to_say(
    tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tool.parent))
    assert adapter.find(RAM) == adapter.Cards()


def test_a_tool_that_fails_is_told_with_its_own_words(tool: Path) -> None:
    write(tool, "echo; echo 'No devices were found'; exit 6")
    found = adapter.find(RAM)
    assert (found.devices, found.hung) == ([], False)
    assert found.notes == ["nvidia-smi failed: No devices were found"]


def test_a_tool_that_fails_silently_is_told_by_its_code(tool: Path) -> None:
    write(tool, "exit 6")
    assert adapter.find(RAM).notes == ["nvidia-smi failed: it ended with code 6"]


def test_a_tool_that_can_not_be_run_is_told(tool: Path) -> None:
    tool.write_text("\x00\x01 no program")
    tool.chmod(0o755)
    [note] = adapter.find(RAM).notes
    assert note.startswith("nvidia-smi failed: ")


def test_garbage_is_told_and_shows_no_control_characters(tool: Path) -> None:
    write(tool, r"printf '\033[2Jmilk, bread\n\377'")
    [note] = adapter.find(RAM).notes
    assert note == "nvidia-smi said nothing that can be read: ?[2Jmilk, bread"


@pytest.mark.parametrize("before", ["", f"echo '{TWO}'", "exec >&-"])
def test_a_tool_that_hangs_is_killed_with_what_it_started(tool: Path, before: str) -> None:
    write(tool, f"trap '' TERM\nsleep 600 &\necho $! > \"$0.child\"\n{before}\nwait")
    began = time.monotonic()
    found = adapter.find(RAM)
    assert time.monotonic() - began < 10
    assert (found.devices, found.hung) == ([], True)
    assert found.notes == ["nvidia-smi did not answer within 1 s"]
    child = int(tool.with_name("nvidia-smi.child").read_text())
    assert not _lives(child)


def test_a_flood_is_read_no_further_than_it_makes_sense(
    tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_WITHIN_S", 20)
    write(tool, f"while :; do echo '{TWO}'; done")
    began = time.monotonic()
    assert adapter.find(RAM).devices == cards.nvidia(TWO)
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
