"""Which of the models of a repository a reference means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from rbee.contract.model_ref import ModelRef
from rbee.contract.quantization import canonical
from rbee.gguf import quantization, split


class _Named(Protocol):
    @property
    def reference(self) -> ModelRef: ...
    @property
    def quantization(self) -> str | None: ...


N = TypeVar("N", bound=_Named)


def choose(offered: Sequence[N], ref: ModelRef) -> N | None:
    """The one of `offered` that `ref` means; all are of its repository and revision.

    A reference names a file by its path, a split model by any of its parts, or a quantization.
    Without either, `quantization.choose` decides.
    """
    if ref.file is not None:
        first = split.parts(ref.file)[0]
        return next((model for model in offered if model.reference.file == first), None)
    wanted = canonical(ref.quantization) if ref.quantization else None
    if wanted is None:
        known = [model.quantization for model in offered if model.quantization is not None]
        wanted = quantization.choose(known) if known else None
    fitting = [model for model in offered if model.quantization == wanted]
    # The shortest name wins: `model-Q4_K_M.gguf` before `extra/model-v2-Q4_K_M.gguf`.
    return min(fitting, key=_name_length, default=None)


def _name_length(model: _Named) -> tuple[int, str]:
    name = str(model.reference)
    return len(name), name
