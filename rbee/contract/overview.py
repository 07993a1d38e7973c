"""Messages about all nodes at once, as the queen knows them without asking."""

from __future__ import annotations

from typing import Literal

import msgspec

from rbee.contract.nodes import DeviceMemory, RunningDownload
from rbee.contract.workers import NodeWorkerRow


class NodeOverview(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a node. `state` is that of its hive: `absent` if none runs, as far as is
    known; `error` says why it could not be reached. The rest is known only while it is `running`:
    `facts_age_s` is how long ago it told its facts, which it does when they change; `models` counts
    the whole models on its disk, with those that are installed with rbee. Sizes in bytes."""

    node: str
    state: Literal["absent", "starting", "running", "draining", "unreachable"]
    error: str | None = None
    facts_age_s: float | None = None
    memory: list[DeviceMemory] = []
    disk_free_bytes: int | None = None
    models: int | None = None
    workers: list[NodeWorkerRow] = []
    downloads: list[RunningDownload] = []


class Overview(msgspec.Struct, frozen=True):
    """GET /v2/nodes, and its event `nodes`: every node, this machine first, and how many tasks
    wait for a slot."""

    nodes: list[NodeOverview]
    waiting: int
