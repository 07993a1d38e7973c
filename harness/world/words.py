"""A feature's words in angle brackets, for what is known only when a scenario runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.model_files.shelf import Shelf

if TYPE_CHECKING:
    from harness.world.world import World

_MODELS = (
    "large",
    "enormous",
    "truncated",
    "no gguf",
    "safetensors",
    "missing",
    "unbroken",
    "other name",
    "Q4_K_M",
    "Q5_K_M",
    "Q8_0",
)


def expand(text: str, shelf: Shelf, places: Mapping[str, str]) -> str:
    """Models stand for their references; they are made when they are first named."""
    for name, value in places.items():
        text = text.replace(f"<{name}>", value)
    for name in _MODELS:
        if f"<{name}>" in text:
            text = text.replace(f"<{name}>", f"file:{shelf.named(name)}")
    return text


def places_of(world: World) -> dict[str, str]:
    places = {
        "queen address": world.queen_address[0],
        "hive address": world.hive_address[0],
        "models folder": str(world.models),
        "home": str(world.home),
    }
    for name, node in world.nodes.items():
        places[f"{name} address"] = node.address
        places[f"{name} port"] = str(node.port)
        places[f"{name} root"] = str(node.root)
        places[f"{name} fingerprint"] = node.server.fingerprint
    return places
