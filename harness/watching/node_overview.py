"""All nodes at once, as the keeper shows them, beside what the hive answers."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

from harness.watching import node_facts
from harness.world import cluster
from harness.world.world import World

_OLDEST_S = 120
_AGE = re.compile(r"told \d+ s ago")
_SIZE = r"[\d.]+ [MG]B"
_FIRST = re.compile(
    rf"localhost: running, told \d+ s ago, (?P<models>1 model|\d\d+ models|[02-9] models) on disk, "
    rf"(?P<disk>{_SIZE}) of disk free"
)


def complaints(world: World, shown: Mapping[str, Any], reference: str) -> Iterator[str]:
    """Whatever differs from what this machine's hive answers who asks it."""
    [node] = shown["nodes"]
    answer = world.call("GET", f"{world.hive_url}/v1/node").json
    models = world.call("GET", f"{world.hive_url}/v1/models").json["models"]
    whole = [row for row in models if row["state"] == "ready"]
    if (node["node"], node["state"], node["error"]) != ("localhost", "running", None):
        yield f"it is not this machine that runs: {node}"
    if not 0 <= node["facts_age_s"] < _OLDEST_S:
        yield f"facts_age_s: {node['facts_age_s']}"
    yield from node_facts.memory_complaints(node["memory"], answer["memory"])
    if not node_facts.near(node["disk_free_bytes"], answer["disk_free_bytes"]):
        yield f"disk_free_bytes: {node['disk_free_bytes']}, and {answer['disk_free_bytes']}"
    usable = [*node_facts.bundled(world), *(row["reference"] for row in whole)]
    if node["models"] != len(usable) or len(usable) == len(whole):
        yield f"models: {node['models']}, and {usable} when asked"
    [worker] = cluster.queens_workers(world)
    if node["workers"] != [worker]:
        yield f"workers: {node['workers']}, and {worker} when asked"
    [download] = node["downloads"]
    [row] = [row for row in models if row["reference"] == reference]
    if (download["reference"], download["bytes_total"]) != (reference, row["size_bytes"]):
        yield f"downloads: {download}, and {row} when asked"
    if not 0 < download["bytes_downloaded"] <= row["bytes_downloaded"]:
        yield f"downloads: {download}, and later {row}"
    if shown["waiting"] != 0:
        yield f"waiting: {shown['waiting']}"


def line_complaints(world: World, lines: Sequence[str], node: Mapping[str, Any]) -> Iterator[str]:
    """Whatever a person reads that differs from the JSON of a moment before."""
    first, *rest = lines
    found = _FIRST.fullmatch(first)
    if found is None or int(found["models"].split()[0]) != node["models"]:
        yield f"{first!r}, and {node['models']} models"
    elif not node_facts.near(_bytes(found["disk"]), node["disk_free_bytes"]):
        yield f"{first!r}, and {node['disk_free_bytes']} bytes free"
    for device, line in zip(node["memory"], rest, strict=False):
        name = f"{device['backend']}:{device['index']}  {device['name']}"
        shown = re.fullmatch(rf"  {re.escape(name)}, ({_SIZE}) of ({_SIZE}) free", line)
        told = [device["memory_free_bytes"], device["memory_total_bytes"]]
        if shown is None or not all(map(node_facts.near, map(_bytes, shown.groups()), told)):
            yield f"{line!r}, and {device}"
    [worker], [download] = node["workers"], node["downloads"]
    free = f"{worker['slots_available']} of {worker['slots_total']} slots free"
    row = f"  {worker['model_ref']}  {worker['state']}, {free}, cpu:0  {worker['worker_id']}"
    if row not in rest:
        yield f"{row!r} is missing: {rest}"
    total, came = download["bytes_total"], download["bytes_downloaded"]
    least, most = 100 * came // total, 100 * (downloaded(world) or total) // total
    percent = re.fullmatch(
        rf"  downloading {download['reference']}, (\d+) % of ({_SIZE})", rest[-1]
    )
    if percent is None or not least <= int(percent[1]) <= most:
        yield f"{rest[-1]!r}, and {least} % before, {most} % after"
    elif not node_facts.near(_bytes(percent[2]), total):
        yield f"{rest[-1]!r}, and {total} bytes"


def _bytes(text: str) -> float:
    """Of a size for people, in MB or GB of a million bytes and a thousand of these."""
    number, unit = text.split()
    return float(number) * {"MB": 1e6, "GB": 1e9}[unit]


def downloaded(world: World) -> int:
    """How much has come of the only download, as the queen tells."""
    nodes = world.call("GET", f"{world.queen_url}/v2/nodes").json["nodes"]
    return sum(each["bytes_downloaded"] for node in nodes for each in node["downloads"])


def states_in_blocks(text: str) -> list[str]:
    """The worker's state and whether a task waits, in each block of plain text."""
    assert text.replace("\n", "").isprintable(), text
    blocks = [block.splitlines() for block in text.rstrip("\n").split("\n\n")]
    return [_state("\n".join(block)) for block in blocks]


def repeated_blocks(text: str) -> list[str]:
    """The blocks that say the same as the one before, but for the time that has passed."""
    blocks = [_AGE.sub("", block) for block in text.rstrip("\n").split("\n\n")]
    return [block for before, block in pairwise(blocks) if block == before]


def states_in_lines(text: str) -> list[str]:
    """The same of lines of JSON."""
    found = []
    for line in text.splitlines():
        event = json.loads(line)
        assert set(event) == {"event", "data"}, line
        assert event["event"] == "nodes", line
        states = [worker["state"] for node in event["data"]["nodes"] for worker in node["workers"]]
        waits = ["waits"] if event["data"]["waiting"] else []
        found.append(", ".join([*states, *waits]))
    return found


def without_repeats(states: list[str]) -> list[str]:
    return [state for state, _ in groupby(states)]


def _state(block: str) -> str:
    words = [word for word in ("idle", "busy") if f"  {word}, " in block]
    return ", ".join(
        [*words, *(["waits"] if " for a slot: rbee-keeper queue list" in block else [])]
    )
