"""Which device a model goes to, and whose memory counts for it."""

from __future__ import annotations

from collections.abc import Sequence

from rbee.contract.nodes import DeviceMemory

# What CUDA tells of a card's memory is a little less than what nvidia-smi does.
_ABOUT = 0.1


def choose(backend: str, index: int | None, devices: Sequence[DeviceMemory]) -> DeviceMemory | None:
    """The backend's device that was asked for; without a wish, or where there is no such device,
    the one with most free memory. None where the backend has none that tells its memory."""
    there = [each for each in devices if each.backend == backend and each.memory_total_bytes > 0]
    asked = [each for each in there if each.index == index]
    return max(asked or there, key=_freedom, default=None)


def label(device: DeviceMemory) -> str:
    """How a person is told of it: `cuda:1`, and `cpu` for the machine's own memory."""
    return "cpu" if device.backend == "cpu" else f"{device.backend}:{device.index}"


def same_cards(
    known: Sequence[DeviceMemory], cards: Sequence[DeviceMemory]
) -> list[DeviceMemory] | None:
    """`known` with the memory that is free now, where `cards` are the same devices; None where
    they are not, as on a card that is divided (MIG)."""
    now = {card.index: card for card in cards if card.backend == "cuda"}
    if len(now) != len(known):
        return None
    for each in known:
        card = now.get(each.index)
        whole = each.memory_total_bytes
        if card is None or abs(card.memory_total_bytes - whole) > _ABOUT * whole:
            return None
    return [now[each.index] for each in known]


def _freedom(device: DeviceMemory) -> tuple[int, int]:
    return device.memory_free_bytes, -device.index
