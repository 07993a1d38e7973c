"""Whether a model can run on this node, and on which device: decided from what the node has and
what the model's file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rbee.contract.errors import BackendUnavailable, VramExhausted
from rbee.contract.nodes import DeviceMemory
from rbee.gguf.memory import HEADROOM, required_bytes

_MB = 1_000_000
# CUDA reports a little less memory for a card than nvidia-smi does.
_TOLERANCE = 0.1


def arithmetic(model_bytes: int, kv_bytes: int, available: int) -> str:
    """`required_bytes` in words, with its terms and the memory that is free."""
    size, kv = round(model_bytes / _MB), round(kv_bytes / _MB)
    required = required_bytes(model_bytes, kv_bytes)
    more_with_cache = required > int(model_bytes * HEADROOM)
    terms = f"{size} MB and {kv} MB of KV cache" if more_with_cache else f"{HEADROOM} × {size} MB"
    return f"needs {round(required / _MB)} MB ({terms}), {available // _MB} MB are free"


def require_memory(
    required: int,
    available: int,
    node: str,
    device: str,
    fitting: str | None = None,
    in_all: bool = False,
) -> None:
    """Raise VRAM_EXHAUSTED if `required` bytes are more than `available`. The error has both in MB
    and `fitting`, the name of a model that would fit.

    `in_all`: `available` is all the memory that the device has, not only what is free.
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
    """The name of the largest model that fits, of `sizes` in bytes by name; None if none does."""
    fitting = [name for name, size in sizes.items() if required_bytes(size, kv_bytes) <= available]
    return max(fitting, key=lambda name: sizes[name], default=None)


def choose_backend(
    wanted: str | None, available: Sequence[str], reinstall: str | None = None
) -> str:
    """The backend that was asked for, otherwise the node's best one, which comes first.

    Raises BACKEND_UNAVAILABLE, with `reinstall`: the command that would add the backend.
    """
    if wanted is None and available:
        return available[0]
    if wanted is None or wanted not in available:
        more = {"reinstall": reinstall} if reinstall is not None else {}
        raise BackendUnavailable(backend=wanted, available=list(available), **more)
    return wanted


def require_device(backend: str, wanted: int | None, devices: Mapping[str, int]) -> None:
    """Raise BACKEND_UNAVAILABLE for a device that the backend does not have; `devices` counts
    them."""
    count = devices.get(backend, 0)
    if wanted is not None and wanted >= count:
        raise BackendUnavailable(
            f"The backend {backend} has no device {wanted} on this node, only {count} of them.",
            backend=backend,
            available=[f"{name} 0…{number - 1}" for name, number in devices.items() if number],
        )


def choose_device(
    backend: str, index: int | None, devices: Sequence[DeviceMemory]
) -> DeviceMemory | None:
    """The backend's device that was asked for; without an `index`, or if there is no such device,
    the one with the most free memory. None if no device of the backend reports its memory."""
    of_backend = [
        device for device in devices if device.backend == backend and device.memory_total_bytes > 0
    ]
    asked = [device for device in of_backend if device.index == index]
    return max(asked or of_backend, key=_free_bytes, default=None)


def label(device: DeviceMemory) -> str:
    """How a device is shown: `cuda:1`, or `cpu` for the machine's own memory."""
    return "cpu" if device.backend == "cpu" else f"{device.backend}:{device.index}"


def same_cards(
    known: Sequence[DeviceMemory], cards: Sequence[DeviceMemory]
) -> list[DeviceMemory] | None:
    """The `known` devices with the memory that is free now, if `cards` are the same devices; None
    if they are not, as on a card that is divided (MIG)."""
    now = {card.index: card for card in cards if card.backend == "cuda"}
    if len(now) != len(known):
        return None
    for device in known:
        card = now.get(device.index)
        total = device.memory_total_bytes
        if card is None or abs(card.memory_total_bytes - total) > _TOLERANCE * total:
            return None
    return [now[device.index] for device in known]


def _free_bytes(device: DeviceMemory) -> tuple[int, int]:
    return device.memory_free_bytes, -device.index
