"""What the installed llama.cpp can compute on: ggml's own list of devices.

llama-cpp-python has no bindings for that part, so it is read from the library that it loads. One
that lacks these functions still says by its build what it can do.
"""

from __future__ import annotations

import ctypes
from typing import Any

import msgspec
from llama_cpp import llama_cpp as C

from rbee.contract.nodes import DeviceMemory, Usable
from rbee.worker.model.backends import best_first, canonical

# ggml-backend.h, enum ggml_backend_dev_type. Others are no place for a model.
_CPU, _GPU, _INTEGRATED = 0, 1, 2

_Handle = ctypes.c_void_p
_Size = ctypes.POINTER(ctypes.c_size_t)


class Device(msgspec.Struct, frozen=True):
    """`handle` is ggml's pointer, `index` counts the devices of one backend."""

    handle: int
    backend: str
    index: int


class _Ggml:
    """The functions of ggml-backend.h. Raises AttributeError where the library lacks one."""

    def __init__(self, library: Any) -> None:
        self.count = _bound(library.ggml_backend_dev_count, ctypes.c_size_t)
        self.get = _bound(library.ggml_backend_dev_get, _Handle, ctypes.c_size_t)
        self.type = _bound(library.ggml_backend_dev_type, ctypes.c_int, _Handle)
        self.description = _bound(library.ggml_backend_dev_description, ctypes.c_char_p, _Handle)
        self.registry = _bound(library.ggml_backend_dev_backend_reg, _Handle, _Handle)
        self.registry_name = _bound(library.ggml_backend_reg_name, ctypes.c_char_p, _Handle)
        self.memory = _bound(library.ggml_backend_dev_memory, None, _Handle, _Size, _Size)


def usable() -> Usable:
    """The backends, the best first, and their devices."""
    try:
        found = devices()
    except AttributeError:
        names = best_first(_built_for())
        return Usable(names, dict.fromkeys(names, 1))
    names = best_first({device.backend for device in found})
    counted = {name: sum(device.backend == name for device in found) for name in names}
    memory = [_memory(device) for name in names for device in found if device.backend == name]
    return Usable(names, counted, memory)


def devices() -> list[Device]:
    """Every device that can hold a model. Raises AttributeError where llama.cpp does not tell."""
    ggml = _Ggml(C._lib)
    found: list[Device] = []
    for number in range(ggml.count()):
        handle = ggml.get(number)
        if ggml.type(handle) not in (_CPU, _GPU, _INTEGRATED):
            continue
        backend = canonical(_text(ggml.registry_name(ggml.registry(handle))))
        index = sum(other.backend == backend for other in found)
        found.append(Device(handle, backend, index))
    return found


def _memory(device: Device) -> DeviceMemory:
    ggml = _Ggml(C._lib)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml.memory(device.handle, ctypes.byref(free), ctypes.byref(total))
    name = _text(ggml.description(device.handle))
    return DeviceMemory(device.backend, device.index, name, total.value, free.value)


def _built_for() -> set[str]:
    """Of an older llama.cpp: what its build says of itself, which counts no devices."""
    if not C.llama_supports_gpu_offload():
        return {"cpu"}
    told = _text(C.llama_print_system_info())
    names = {part.partition(" :")[0].strip() for part in told.split("|") if " : " in part}
    known = {canonical(name) for name in names}
    return {"cpu"} | (known & {"cuda", "metal", "rocm", "sycl", "vulkan"})


def _bound(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype, function.argtypes = result, arguments
    return function


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace").strip()
