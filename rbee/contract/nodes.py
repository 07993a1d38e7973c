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


class HiveGone(msgspec.Struct, frozen=True):
    """The `hive_gone` event of the queen: one of her hives, and how it went.

    `ended` in order, `killed` where it did not, `lost` where its connection broke; `left` is one
    that she did not start, which lives on. `workers` is how many it had when she saw it last.
    """

    node: str
    how: Literal["ended", "killed", "lost", "left"]
    workers: int


class DeviceMemory(msgspec.Struct, frozen=True):
    """One device. For the CPU it is the machine's memory. A total of 0 is one that is not known."""

    backend: str
    index: int
    name: str
    memory_total_bytes: int
    memory_free_bytes: int


class Usable(msgspec.Struct, frozen=True, omit_defaults=True):
    """`llm-worker-rbee detect --json`: what the installed llama.cpp can compute on.

    `backends`, the best first; `devices` counts them by backend; `memory` has each of them in the
    order of its index, which is the one that a worker is started with. `memory` is empty where
    llama.cpp does not tell.
    """

    backends: list[str]
    devices: dict[str, int]
    memory: list[DeviceMemory] = []


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """`rbee-hive detect --json`: what the machine has beside what the installed llama.cpp can use.

    `hardware` is what is there, in bytes; `backends`, the best first, and `devices` are what can be
    computed on now; `advice` are the commands that mend a difference between the two; `notes` what
    could not be asked, and why. `time_unix` is what the machine's clock says at the end of it.
    """

    version: str
    hardware: list[DeviceMemory]
    backends: list[str]
    devices: dict[str, int]
    advice: list[str] = []
    notes: list[str] = []
    time_unix: float | None = None


class NodeInfo(msgspec.Struct, frozen=True):
    """GET /v1/node. Bytes everywhere; `devices` counts them by backend; `time_unix` is what the
    node's clock says."""

    backends: list[str]
    devices: dict[str, int]
    memory: list[DeviceMemory]
    ram_total_bytes: int
    ram_free_bytes: int
    disk_free_bytes: int
    state: Literal["running", "draining"]
    owner: Owner | None
    time_unix: float | None = None
