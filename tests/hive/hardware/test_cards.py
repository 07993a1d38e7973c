"""Graphics cards: what tools say of them is read with care, and the command that makes llama.cpp
use them."""

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.nodes import DeviceMemory, Usable
from rbee.hive.hardware.cards import (
    as_backend,
    backends_of,
    differences,
    missing_backends,
    parse_amd,
    parse_metal,
    parse_nvidia,
    reinstall_command,
)

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
    assert parse_nvidia(TWO) == [
        DeviceMemory("cuda", 0, "NVIDIA GeForce RTX 4090", 24564 * MIB, 23000 * MIB),
        DeviceMemory("cuda", 1, "NVIDIA GeForce RTX 3070, Founders", 8192 * MIB, 100 * MIB),
    ]


def test_cards_are_in_the_order_of_their_numbers() -> None:
    swapped = "".join(f"{line}\n" for line in reversed(TWO.splitlines()))
    assert parse_nvidia(swapped) == parse_nvidia(TWO)


def test_a_card_that_shares_the_machines_memory_is_there_without_a_size() -> None:
    [card] = parse_nvidia("0, [N/A], [N/A], NVIDIA GB10\n")
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
    assert parse_nvidia(f"{line}\n{TWO}{line}") == parse_nvidia(TWO)


def test_a_number_that_comes_twice_is_one_card() -> None:
    assert parse_nvidia(TWO + TWO) == parse_nvidia(TWO)


def test_more_free_than_there_is_is_all_that_there_is() -> None:
    [card] = parse_nvidia("0, 100, 200, card")
    assert card.memory_free_bytes == card.memory_total_bytes == 100 * MIB


@given(st.text())
def test_whatever_it_says_is_survived(text: str) -> None:
    for card in parse_nvidia(text):
        assert 0 <= card.memory_free_bytes <= card.memory_total_bytes
    assert parse_metal(text, RAM) == []


def test_a_mac_without_memory_of_its_own_for_graphics_has_the_machines() -> None:
    wanted = DeviceMemory("metal", 0, "Apple M2 Pro", 32 * GB, 20 * GB)
    assert parse_metal(json.dumps(APPLE), RAM) == [wanted]


def test_a_mac_with_a_card_has_the_cards_and_only_those_that_metal_can_use() -> None:
    wanted = DeviceMemory("metal", 0, "AMD Radeon Pro 5500M", 8 << 30, 8 << 30)
    assert parse_metal(json.dumps(INTEL), RAM) == [wanted]


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"SPDisplaysDataType": [1, null]}', "7"])
def test_json_of_another_shape_names_no_card(text: str) -> None:
    assert parse_metal(text, RAM) == []


CPU = Usable(["cpu"], {"cpu": 1})
NVIDIA = [DeviceMemory("cuda", n, "card", 8, 8) for n in range(2)]
AMD = DeviceMemory("vulkan", 0, "Radeon", 8, 8)


@pytest.mark.parametrize(
    ("backend", "flag"), [("cuda", "CUDA"), ("metal", "METAL"), ("vulkan", "VULKAN")]
)
def test_the_command_names_backend_python_and_version(backend: str, flag: str) -> None:
    assert reinstall_command(backend, "/venv/bin/python", "0.3.36") == (
        f"CMAKE_ARGS=-DGGML_{flag}=on /venv/bin/python -m pip install --force-reinstall"
        " --no-cache-dir --no-binary llama-cpp-python llama-cpp-python==0.3.36"
    )


def test_a_path_with_spaces_survives_the_shell() -> None:
    words = shlex.split(reinstall_command("cuda", "/my venv/bin/python", None))
    assert words[:3] == ["CMAKE_ARGS=-DGGML_CUDA=on", "/my venv/bin/python", "-m"]
    assert words[-1] == "llama-cpp-python"


def test_cards_that_llama_cpp_can_not_use_are_missed_once() -> None:
    assert missing_backends(CPU, NVIDIA) == ["cuda"]
    assert missing_backends(CPU, [*NVIDIA, AMD]) == ["cuda", "vulkan"]


def test_nothing_is_missed_where_some_backend_uses_the_card() -> None:
    assert missing_backends(Usable(["cuda", "cpu"], {"cuda": 2, "cpu": 1}), NVIDIA) == []
    assert missing_backends(Usable(["vulkan", "cpu"], {"vulkan": 2, "cpu": 1}), NVIDIA) == []
    assert missing_backends(Usable(["rocm", "cpu"], {"rocm": 1, "cpu": 1}), [AMD]) == []
    assert missing_backends(CPU, []) == []


def test_a_card_counts_for_every_backend_that_computes_on_it() -> None:
    assert as_backend("cuda", [*NVIDIA, AMD]) == NVIDIA
    assert {card.backend for card in as_backend("vulkan", [*NVIDIA, AMD])} == {"vulkan"}
    assert len(as_backend("vulkan", [*NVIDIA, AMD])) == 3
    assert as_backend("metal", [*NVIDIA, AMD]) == []


def test_cards_of_which_llama_cpp_sees_only_some_are_reported() -> None:
    one = Usable(["cuda", "cpu"], {"cuda": 1, "cpu": 1})
    assert differences(one, NVIDIA) == ["llama.cpp sees 1 of the 2 cuda devices"]
    assert differences(CPU, NVIDIA) == []
    assert differences(Usable(["cuda", "cpu"], {"cuda": 2, "cpu": 1}), NVIDIA) == []


def test_a_card_of_amd_has_its_memory_and_what_of_it_is_free() -> None:
    reported = [("Radeon", "1000", "300"), ("odd", "x", "1"), ("odd", "1", ""), ("Two", "5", "9")]
    assert parse_amd(reported) == [
        DeviceMemory("vulkan", 0, "Radeon", 1000, 700),
        DeviceMemory("vulkan", 1, "Two", 5, 0),
    ]
    assert parse_amd([]) == []


def test_a_card_of_a_mac_has_some_name_and_megabytes_too() -> None:
    metal = {"spdisplays_metal": "spdisplays_metal3"}
    displays = [{**metal, "_name": "Old"}, {**metal, "spdisplays_vram": "256 MB"}]
    found = parse_metal(json.dumps({"SPDisplaysDataType": displays}), RAM)
    assert found == [
        DeviceMemory("metal", 0, "Old", 32 * GB, 20 * GB),
        DeviceMemory("metal", 1, "graphics", 256 * MIB, 256 * MIB),
    ]


def test_an_unknown_kind_of_card_is_for_its_own_backend() -> None:
    assert backends_of(DeviceMemory("npu", 0, "card", 8, 8)) == ("npu",)
    assert backends_of(NVIDIA[0]) == ("cuda", "vulkan")


def test_a_name_and_a_size_have_their_limits() -> None:
    assert [card.name for card in parse_nvidia(f"0, 1, 1, {'c' * 128}")] == ["c" * 128]
    assert parse_nvidia(f"0, 1, 1, {'c' * 129}") == []
    [most] = parse_nvidia("0, 16777216, 16777216, card")
    assert most.memory_total_bytes == 1 << 44
    assert parse_nvidia("0, 16777217, 1, card") == []
    [shared] = parse_nvidia("0, [Not Supported], N/A, card")
    assert shared.memory_total_bytes == 0
