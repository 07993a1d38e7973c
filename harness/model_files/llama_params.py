"""How llama.cpp is asked to load a model, wherever the harness calls it directly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock


def model_params(c: Any) -> Any:
    """Its defaults on the CPU, but without the matrix unit AMX, at which llama.cpp ends with signal
    11 on many machines. `c` is llama_cpp.llama_cpp."""
    params = c.llama_model_default_params()
    params.n_gpu_layers = 0
    params.use_extra_bufts = b"AMX_INT8 = 1" not in c.llama_print_system_info()
    return params


@contextlib.contextmanager
def as_defaults(c: Any) -> Iterator[None]:
    """What the package's own classes load meanwhile, which have no word for it, is loaded so."""
    params = model_params(c)
    with mock.patch.object(c, "llama_model_default_params", lambda: params):
        yield
