"""What a hive tells of its node without being asked, beside what it answers who asks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.world.world import World

# Memory and disk are used by others too, while the two are compared.
_NEAR = 0.05


def complaints(world: World, facts: Mapping[str, Any]) -> Iterator[str]:
    """Whatever differs from the hive's replies."""
    node = _answer(world, "GET", "/v1/node")
    for name in ("backends", "devices"):
        if facts[name] != node[name]:
            yield f"{name}: {facts[name]}, and {node[name]} when asked"
    if not near(facts["disk_free_bytes"], node["disk_free_bytes"]):
        yield f"disk_free_bytes: {facts['disk_free_bytes']}, and {node['disk_free_bytes']}"
    yield from memory_complaints(facts["memory"], node["memory"])
    yield from model_complaints(world, facts)
    if facts["bundled"] != (there := bundled(world)):
        yield f"bundled: {facts['bundled']}, and {there} when asked"


def bundled(world: World) -> list[str]:
    """The models that are installed with rbee, as the hive answers who asks it."""
    cards = _answer(world, "GET", "/v1/models/cards")["models"]
    return [card["reference"] for card in cards if card["reference"].startswith("bundled:")]


def memory_complaints(
    told: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Whatever differs, but for memory that others take meanwhile."""
    if [_device(each) for each in told] != [_device(each) for each in asked]:
        yield f"memory: {told}, and {asked} when asked"
    for one, other in zip(told, asked, strict=False):
        if not near(one["memory_free_bytes"], other["memory_free_bytes"]):
            yield f"memory_free_bytes: {one}, and {other} when asked"


def model_complaints(world: World, facts: Mapping[str, Any]) -> Iterator[str]:
    """Whatever differs from the hive's list of models, and from what it says of each."""
    listed = {row["reference"]: row for row in _answer(world, "GET", "/v1/models")["models"]}
    if [each["reference"] for each in facts["models"]] != list(listed):
        yield f"models: {facts['models']}, and {list(listed)} when asked"
        return
    for each in facts["models"]:
        info = _answer(world, "POST", "/v1/models/info", {"model": each["reference"]})
        wanted = {
            "reference": each["reference"],
            "quantization": listed[each["reference"]]["quantization"],
            "size_bytes": info["size_bytes"],
            "required_bytes": info["required_bytes"],
        }
        if each != wanted:
            yield f"a model: {each}, and {wanted} when asked"


def _device(memory: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in memory.items() if name != "memory_free_bytes"}


def near(one: float, other: float) -> bool:
    """Whether two amounts of bytes are the same, though others use memory and disk too."""
    return abs(one - other) <= _NEAR * max(one, other)


def _answer(world: World, method: str, path: str, body: object = None) -> Any:
    reply = world.call(method, world.hive_url + path, body)
    assert reply.status == 200, reply
    return reply.json
