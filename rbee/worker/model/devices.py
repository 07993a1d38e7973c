"""What the installed llama.cpp can compute on: ggml's own list of devices.

llama-cpp-python has no bindings for that part, so the functions are called in the library that it
loads. A library that lacks them still says which backends it was built for.

Each function takes llama-cpp-python's module of bindings, so that a test can pass another one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import msgspec

from rbee.contract.errors import BackendUnavailable
from rbee.contract.nodes import DeviceMemory, Usable
from rbee.runtime.memory import main_memory
from rbee.worker.model.bindings import C

# ggml-backend.h, enum ggml_backend_dev_type. The other types cannot hold a model.
_CPU, _GPU, _INTEGRATED = 0, 1, 2

_SAME = {"mtl": "metal", "hip": "rocm"}
_BEST_FIRST = ("cuda", "rocm", "metal", "sycl", "vulkan")

_Handle = ctypes.c_void_p
_Size = ctypes.POINTER(ctypes.c_size_t)


class Device(msgspec.Struct, frozen=True):
    """`handle` is ggml's pointer, `index` counts the devices of one backend."""

    handle: int
    backend: str
    index: int


class _Ggml:
    """The functions of ggml-backend.h. Raises AttributeError if the library lacks one."""

    def __init__(self, library: Any) -> None:
        self.count = _bound(library.ggml_backend_dev_count, ctypes.c_size_t)
        self.get = _bound(library.ggml_backend_dev_get, _Handle, ctypes.c_size_t)
        self.type = _bound(library.ggml_backend_dev_type, ctypes.c_int, _Handle)
        self.description = _bound(library.ggml_backend_dev_description, ctypes.c_char_p, _Handle)
        self.registry = _bound(library.ggml_backend_dev_backend_reg, _Handle, _Handle)
        self.registry_name = _bound(library.ggml_backend_reg_name, ctypes.c_char_p, _Handle)
        self.memory = _bound(library.ggml_backend_dev_memory, None, _Handle, _Size, _Size)


def usable(llama: Any = C) -> Usable:
    """The backends, the best first, and their devices.

    It takes memory on each graphics card, for as long as the process lives.
    """
    names = backends(llama)
    try:
        found = devices(llama)
    except AttributeError:
        return Usable(names, dict.fromkeys(names, 1))
    ggml = _Ggml(llama._lib)
    counted = {name: sum(device.backend == name for device in found) for name in names}
    memory = [_memory(ggml, device) for name in names for device in found if device.backend == name]
    return Usable(names, counted, memory)


def backends(llama: Any = C) -> list[str]:
    """The backends, the best first."""
    try:
        return best_first({device.backend for device in devices(llama)})
    except AttributeError:
        return best_first(_built_for(llama))


def devices(llama: Any = C) -> list[Device]:
    """Every device that can hold a model. Raises AttributeError if llama.cpp has no list."""
    ggml = _Ggml(llama._lib)
    found: list[Device] = []
    for number in range(ggml.count()):
        handle = ggml.get(number)
        if ggml.type(handle) not in (_CPU, _GPU, _INTEGRATED):
            continue
        backend = canonical(_text(ggml.registry_name(ggml.registry(handle))))
        index = sum(other.backend == backend for other in found)
        found.append(Device(handle, backend, index))
    return found


def device_list(backend: str, device: int, llama: Any = C) -> Any:
    """A null-terminated list for `llama_model_params.devices`: this one device, or none for the
    CPU. None if llama.cpp has no list of devices. Raises BACKEND_UNAVAILABLE."""
    try:
        found = devices(llama)
    except AttributeError:
        return None
    if backend == "cpu":
        return (ctypes.c_void_p * 1)()
    for each in found:
        if (each.backend, each.index) == (backend, device):
            return (ctypes.c_void_p * 2)(each.handle)
    raise BackendUnavailable(
        f"The backend {backend} has no device {device} here.",
        backend=backend,
        available=[f"{each.backend} {each.index}" for each in found],
    )


def repacks(llama: Any = C) -> bool:
    """Whether weights may be rearranged for the CPU as they are loaded.

    A llama.cpp that was built for AMX, the matrix unit of Intel's servers, would rearrange them for
    that, and end with signal 11 at the first token: many compilers leave out the configuration of
    the tiles, and in many virtual machines no thread but the first may use the unit
    (https://github.com/ggml-org/llama.cpp/pull/26954).
    """
    return "AMX_INT8 = 1" not in _text(llama.llama_print_system_info())


def canonical(name: str) -> str:
    """The name that rbee uses for a backend, from llama.cpp's own."""
    return _SAME.get(name.lower(), name.lower())


def best_first(names: Iterable[str]) -> list[str]:
    """A vendor's own backend before one for any card, and last the CPU, which is always there."""
    known = {name: place for place, name in enumerate(_BEST_FIRST)}
    others = set(names) - {"cpu"}
    return [*sorted(others, key=lambda name: (known.get(name, len(known)), name)), "cpu"]


def _memory(ggml: _Ggml, device: Device) -> DeviceMemory:
    name = _text(ggml.description(device.handle))
    if device.backend == "cpu":  # ggml counts all of it as free
        own = main_memory()
        return DeviceMemory(device.backend, device.index, name, own.total, own.available)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml.memory(device.handle, ctypes.byref(free), ctypes.byref(total))
    return DeviceMemory(device.backend, device.index, name, total.value, free.value)


def _built_for(llama: Any) -> set[str]:
    """What an older llama.cpp was built for; it counts no devices."""
    if not llama.llama_supports_gpu_offload():
        return {"cpu"}
    info = _text(llama.llama_print_system_info())
    names = {part.partition(" :")[0].strip() for part in info.split("|") if " : " in part}
    known = {canonical(name) for name in names}
    return {"cpu"} | (known & {"cuda", "metal", "rocm", "sycl", "vulkan"})


def _bound(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype, function.argtypes = result, arguments
    return function


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace").strip()
