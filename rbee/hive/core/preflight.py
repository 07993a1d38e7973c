"""Whether a model can run here, from what the node has and what the file says of itself."""

from __future__ import annotations

from collections.abc import Sequence

from rbee.contract.errors import BackendUnavailable, VramExhausted

_MB = 1_000_000
_HEADROOM = 1.2


def required_bytes(model_bytes: int, kv_bytes: int) -> int:
    """Memory that a model needs: 1.2 × its size, or weights plus KV cache where that is more."""
    return max(int(model_bytes * _HEADROOM), model_bytes + kv_bytes)


def check_memory(required: int, available: int, node: str, device: str) -> None:
    """Bytes in; raises VRAM_EXHAUSTED with both amounts in MB."""
    if required > available:
        raise VramExhausted(
            node=node, device=device, required=-(-required // _MB), available=available // _MB
        )


def choose_backend(wanted: str | None, available: Sequence[str]) -> str:
    """The backend that was asked for, else the node's best one, which stands first.

    Raises BACKEND_UNAVAILABLE.
    """
    if wanted is None:
        return available[0]
    if wanted not in available:
        raise BackendUnavailable(backend=wanted, available=list(available))
    return wanted
