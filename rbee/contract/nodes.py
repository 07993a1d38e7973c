"""Messages about a node: its hive and its hardware."""

from __future__ import annotations

from typing import Literal

import msgspec


class HiveHealth(msgspec.Struct, frozen=True):
    status: Literal["alive"]
    version: str
    api_version: Literal["v1"]


class Owner(msgspec.Struct, frozen=True):
    """Who holds a daemon's lifeline; `started` is seconds since the epoch."""

    program: str
    pid: int
    started: float
    host: str


class DeviceMemory(msgspec.Struct, frozen=True):
    """One device. For the CPU it is the machine's memory."""

    backend: str
    index: int
    name: str
    memory_total_bytes: int
    memory_free_bytes: int


class NodeInfo(msgspec.Struct, frozen=True):
    """GET /v1/node. Bytes everywhere; `devices` counts them by backend."""

    backends: list[str]
    devices: dict[str, int]
    memory: list[DeviceMemory]
    ram_total_bytes: int
    ram_free_bytes: int
    disk_free_bytes: int
    state: Literal["running", "draining"]
    owner: Owner | None
