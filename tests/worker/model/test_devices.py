"""What llama.cpp can compute on, from ggml's list of devices."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from rbee.contract.errors import BackendUnavailable
from rbee.contract.nodes import DeviceMemory
from rbee.runtime.memory import main_memory
from rbee.worker.model import llama
from rbee.worker.model.bindings import C
from rbee.worker.model.devices import best_first, canonical, device_list, repacks, usable

MB = 1_000_000
CPU, GPU, INTEGRATED, ACCELERATOR = range(4)
# Registry, type, description, free, total: as ggml lists them.
LISTED = [
    ("CUDA", GPU, "RTX 4090", 20 * MB, 24 * MB),
    ("CUDA", GPU, "RTX 3070", 7 * MB, 8 * MB),
    ("BLAS", ACCELERATOR, "OpenBLAS", 0, 0),
    ("Vulkan", INTEGRATED, "Radeon Graphics", 1 * MB, 2 * MB),
    ("CPU", CPU, "Ryzen", 30 * MB, 32 * MB),
]


class Function:
    """As ctypes has them: it takes attributes, and can be called."""

    def __init__(self, work: Any) -> None:
        self._work = work

    def __call__(self, *arguments: Any) -> Any:
        return self._work(*arguments)


class FakeGgml:
    """A library with these devices, whose handles count from 1."""

    def __init__(self, listed: list[tuple[str, int, str, int, int]]) -> None:
        self._listed = listed
        self.ggml_backend_dev_count = Function(lambda: len(listed))
        self.ggml_backend_dev_get = Function(lambda number: number + 1)
        self.ggml_backend_dev_type = Function(lambda handle: listed[handle - 1][1])
        self.ggml_backend_dev_description = Function(lambda h: listed[h - 1][2].encode())
        self.ggml_backend_dev_backend_reg = Function(lambda handle: handle)
        self.ggml_backend_reg_name = Function(lambda handle: listed[handle - 1][0].encode())
        self.ggml_backend_dev_memory = Function(self._memory)

    def _memory(self, handle: int, free: Any, total: Any) -> None:
        free._obj.value, total._obj.value = self._listed[handle - 1][3:]


def bindings(library: object, build: str = "") -> Any:
    """In place of llama-cpp-python's module of bindings, built for graphics cards."""
    return SimpleNamespace(
        _lib=library,
        llama_supports_gpu_offload=lambda: True,
        llama_print_system_info=lambda: build.encode(),
    )


@pytest.fixture
def listed() -> Any:
    return bindings(FakeGgml(LISTED))


def test_backends_are_named_as_people_name_them() -> None:
    assert [canonical(name) for name in ("CUDA", "MTL", "Metal", "HIP", "ROCm", "CPU")] == [
        "cuda",
        "metal",
        "metal",
        "rocm",
        "rocm",
        "cpu",
    ]


def test_the_best_stands_first_and_the_cpu_last() -> None:
    assert best_first({"cpu", "vulkan", "opencl", "cuda"}) == ["cuda", "vulkan", "opencl", "cpu"]
    assert best_first(set()) == ["cpu"]


def test_devices_are_counted_and_numbered_by_backend(listed: Any) -> None:
    found = usable(listed)
    assert found.backends == ["cuda", "vulkan", "cpu"]
    assert found.devices == {"cuda": 2, "vulkan": 1, "cpu": 1}
    assert found.memory[:-1] == [
        DeviceMemory("cuda", 0, "RTX 4090", 24 * MB, 20 * MB),
        DeviceMemory("cuda", 1, "RTX 3070", 8 * MB, 7 * MB),
        DeviceMemory("vulkan", 0, "Radeon Graphics", 2 * MB, 1 * MB),
    ]


def test_the_cpu_has_the_memory_that_this_machine_has_free(listed: Any) -> None:
    own = usable(listed).memory[-1]
    assert (own.backend, own.index, own.name) == ("cpu", 0, "Ryzen")
    now = main_memory()
    assert own.memory_total_bytes == now.total
    assert abs(own.memory_free_bytes - now.available) < 0.1 * now.total


def test_a_build_for_cards_on_a_machine_without_one_has_the_cpu() -> None:
    assert usable(bindings(FakeGgml(LISTED[-1:]))).backends == ["cpu"]


def test_a_library_without_the_list_has_the_backends_that_it_was_built_for() -> None:
    found = usable(bindings(object(), "CUDA : ARCHS = 890 | CPU : AVX = 1 | "))
    assert (found.backends, found.devices) == (["cuda", "cpu"], {"cuda": 1, "cpu": 1})
    assert found.memory == []


def test_the_installed_one_has_this_machines_memory() -> None:
    found = llama.usable()
    assert found.backends[-1] == "cpu"
    own = found.memory[-1]
    assert (own.backend, own.index) == ("cpu", 0)
    assert own.memory_total_bytes == psutil.virtual_memory().total
    assert 0 < own.memory_free_bytes <= own.memory_total_bytes


def test_a_model_uses_only_the_device_that_was_chosen(listed: Any) -> None:
    assert list(device_list("cuda", 1, listed)) == [2, None]
    assert list(device_list("vulkan", 0, listed)) == [4, None]


def test_on_the_cpu_no_card_takes_part(listed: Any) -> None:
    assert list(device_list("cpu", 0, listed)) == [None]


def test_a_missing_device_is_refused_with_those_that_are_there(listed: Any) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        device_list("cuda", 2, listed)
    assert caught.value.details["available"] == ["cuda 0", "cuda 1", "vulkan 0", "cpu 0"]


def test_llama_cpp_takes_the_list_where_it_is_read() -> None:
    """The field that is set by `Model` is a pointer to pointers, which is what the list is."""
    params = C.llama_model_default_params()
    chosen = device_list("cpu", 0)
    params.devices = ctypes.cast(chosen, ctypes.c_void_p)
    assert params.devices == ctypes.addressof(chosen)


def test_weights_are_not_rearranged_for_amx_whose_code_crashes() -> None:
    assert repacks(bindings(object(), "CPU : AVX512 = 1 | REPACK = 1 | "))
    assert not repacks(bindings(object(), "CPU : AVX512 = 1 | AMX_INT8 = 1 | REPACK = 1 | "))
