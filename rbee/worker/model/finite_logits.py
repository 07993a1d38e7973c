"""Whether a model's results are numbers. One that is not spoils every sampler: what it chooses then
is nonsense.

The check is made for every token, so it has to be fast without NumPy, which takes a while to import
and which most workers don't need: llama.cpp's own takes 0.08 ms for a vocabulary of 150,000.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

from rbee.worker.model.bindings import C

_F32 = 0  # ggml.h, enum ggml_type
_FLOAT_BYTES = 4


class FiniteLogits:
    """Checks rows of one model, each of `width` logits."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._all_finite = _all_finite()

    def check(self, row: Any) -> bool:
        """Whether a token can be chosen from this row. -inf is legal: it forbids a token."""
        if self._all_finite and self._all_finite(_F32, row, self._width * _FLOAT_BYTES):
            return True
        import numpy

        best = numpy.ctypeslib.as_array(row, shape=(self._width,)).max()
        if legal := math.isfinite(best):
            # The model forbids tokens: llama.cpp's check would complain of each row.
            self._all_finite = None
        return legal


def _all_finite() -> Any:
    """llama.cpp's own check, which does not allow -inf either; None if its library lacks it."""
    try:
        function = C._lib.ggml_validate_row_data
    except AttributeError:
        return None
    function.restype = ctypes.c_bool
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    return function
