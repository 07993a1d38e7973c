"""The command that has llama.cpp built for a card that is there."""

from __future__ import annotations

import shlex

import pytest

from rbee.contract.errors import BackendUnavailable, ErrorBody, RbeeError
from rbee.contract.nodes import DeviceMemory, Usable
from rbee.hive.hardware.advice import as_backend, differences, missing, reinstall
from rbee.hive.hardware.placement import choose_backend

CPU = Usable(["cpu"], {"cpu": 1})
NVIDIA = [DeviceMemory("cuda", n, "card", 8, 8) for n in range(2)]
AMD = DeviceMemory("vulkan", 0, "Radeon", 8, 8)


@pytest.mark.parametrize(
    ("backend", "flag"), [("cuda", "CUDA"), ("metal", "METAL"), ("vulkan", "VULKAN")]
)
def test_the_command_names_backend_python_and_version(backend: str, flag: str) -> None:
    assert reinstall(backend, "/venv/bin/python", "0.3.36") == (
        f"CMAKE_ARGS=-DGGML_{flag}=on /venv/bin/python -m pip install --force-reinstall"
        " --no-cache-dir --no-binary llama-cpp-python llama-cpp-python==0.3.36"
    )


def test_a_path_with_spaces_survives_the_shell() -> None:
    words = shlex.split(reinstall("cuda", "/my venv/bin/python", None))
    assert words[:3] == ["CMAKE_ARGS=-DGGML_CUDA=on", "/my venv/bin/python", "-m"]
    assert words[-1] == "llama-cpp-python"


def test_cards_that_llama_cpp_can_not_use_are_missed_once() -> None:
    assert missing(CPU, NVIDIA) == ["cuda"]
    assert missing(CPU, [*NVIDIA, AMD]) == ["cuda", "vulkan"]


def test_nothing_is_missed_where_some_backend_uses_the_card() -> None:
    assert missing(Usable(["cuda", "cpu"], {"cuda": 2, "cpu": 1}), NVIDIA) == []
    assert missing(Usable(["vulkan", "cpu"], {"vulkan": 2, "cpu": 1}), NVIDIA) == []
    assert missing(Usable(["rocm", "cpu"], {"rocm": 1, "cpu": 1}), [AMD]) == []
    assert missing(CPU, []) == []


def test_a_card_counts_for_every_backend_that_computes_on_it() -> None:
    assert as_backend("cuda", [*NVIDIA, AMD]) == NVIDIA
    assert {card.backend for card in as_backend("vulkan", [*NVIDIA, AMD])} == {"vulkan"}
    assert len(as_backend("vulkan", [*NVIDIA, AMD])) == 3
    assert as_backend("metal", [*NVIDIA, AMD]) == []


def test_cards_of_which_llama_cpp_sees_only_some_are_told() -> None:
    one = Usable(["cuda", "cpu"], {"cuda": 1, "cpu": 1})
    assert differences(one, NVIDIA) == ["llama.cpp sees 1 of the 2 cuda devices"]
    assert differences(CPU, NVIDIA) == []
    assert differences(Usable(["cuda", "cpu"], {"cuda": 2, "cpu": 1}), NVIDIA) == []


def test_the_command_is_the_advice_also_after_it_has_crossed_http() -> None:
    with pytest.raises(BackendUnavailable) as caught:
        choose_backend("cuda", ["cpu"], "CMAKE_ARGS=… pip")
    body = caught.value.envelope().error
    over = RbeeError.from_body(ErrorBody(body.code, body.message, body.details))
    assert over.advice.endswith("CMAKE_ARGS=… pip")
    assert "Available here: cpu." in over.advice


def test_without_a_command_the_details_are_the_contracts() -> None:
    with pytest.raises(BackendUnavailable) as caught:
        choose_backend("metal", ["cpu"])
    assert set(caught.value.details) == {"backend", "available"}
    assert caught.value.advice.startswith("Available here: cpu.")
