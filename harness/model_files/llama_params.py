"""How llama.cpp is asked to load a model, wherever the harness calls it directly."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def model_params(c: Any) -> Any:
    """Its defaults on the CPU, without the matrix unit AMX, where llama.cpp ends with signal 11 on
    many machines. `c` is llama_cpp.llama_cpp."""
    params = c.llama_model_default_params()
    params.n_gpu_layers = 0
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "amx_tile" in cpuinfo.read_text().split():
        params.use_extra_bufts = False
    return params
