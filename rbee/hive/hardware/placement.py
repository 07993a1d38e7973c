"""Whether a model can run here, from what the node has and what the file says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rbee.contract.errors import BackendUnavailable, VramExhausted

_MB = 1_000_000
_HEADROOM = 1.2


def required_bytes(model_bytes: int, kv_bytes: int) -> int:
    """Memory that a model needs: 1.2 × its size, or weights plus KV cache where that is more."""
    return max(int(model_bytes * _HEADROOM), model_bytes + kv_bytes)


def arithmetic(model_bytes: int, kv_bytes: int, available: int) -> str:
    """How `required_bytes` comes about, in words, beside what there is."""
    size, kv = round(model_bytes / _MB), round(kv_bytes / _MB)
    required = required_bytes(model_bytes, kv_bytes)
    more_with_cache = required > int(model_bytes * _HEADROOM)
    sum_of = f"{size} MB and {kv} MB of KV cache" if more_with_cache else f"{_HEADROOM} × {size} MB"
    return f"needs {round(required / _MB)} MB ({sum_of}), {available // _MB} MB are free"


def check_memory(
    required: int,
    available: int,
    node: str,
    device: str,
    fitting: str | None = None,
    in_all: bool = False,
) -> None:
    """Bytes in; raises VRAM_EXHAUSTED with both amounts in MB, and with what would fit by name.

    `in_all`: what is available is all that the node has, and not only what is free.
    """
    if required > available:
        more = {} if fitting is None else {"fitting": fitting}
        error = VramExhausted(
            node=node,
            device=device,
            required=-(-required // _MB),
            available=available // _MB,
            **more,
        )
        if in_all:
            error.message = error.message.replace("MB free on", "MB in all on")
        if fitting is not None:
            error.message += f" {fitting} would fit."
        raise error


def largest_that_fits(sizes: Mapping[str, int], kv_bytes: int, available: int) -> str | None:
    """Of models by their names, with their sizes in bytes; None where none fits."""
    fitting = [name for name, size in sizes.items() if required_bytes(size, kv_bytes) <= available]
    return max(fitting, key=lambda name: sizes[name], default=None)


def check_device(backend: str, wanted: int | None, devices: Mapping[str, int]) -> None:
    """Raises BACKEND_UNAVAILABLE for a device that the backend has not; `devices` counts them."""
    count = devices.get(backend, 0)
    if wanted is not None and wanted >= count:
        raise BackendUnavailable(
            f"The backend {backend} has no device {wanted} on this node, only {count} of them.",
            backend=backend,
            available=[f"{name} 0…{number - 1}" for name, number in devices.items() if number],
        )


def choose_backend(
    wanted: str | None, available: Sequence[str], reinstall: str | None = None
) -> str:
    """The backend that was asked for, else the node's best one, which stands first.

    Raises BACKEND_UNAVAILABLE, with `reinstall`: the command that would bring it here.
    """
    if wanted is None and available:
        return available[0]
    if wanted is None or wanted not in available:
        more = {"reinstall": reinstall} if reinstall is not None else {}
        raise BackendUnavailable(backend=wanted, available=list(available), **more)
    return wanted
