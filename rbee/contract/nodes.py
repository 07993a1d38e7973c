"""Messages about a node: its hive and its hardware."""

from __future__ import annotations

from typing import Literal

import msgspec


class HiveHealth(msgspec.Struct, frozen=True):
    status: Literal["alive"]
    version: str
    api_version: Literal["v1"]


class Owner(msgspec.Struct, frozen=True):
    """The process that holds a daemon's lifeline; `started` is in seconds since the epoch."""

    program: str
    pid: int
    started: float
    host: str


class HiveGone(msgspec.Struct, frozen=True):
    """The `hive_gone` event of the queen: one of its hives is gone, and how.

    `ended`: it shut down in order; `killed`: it did not, and was killed; `lost`: its connection
    broke; `left`: the queen did not start it, and it lives on. `workers` is how many it last had.
    """

    node: str
    how: Literal["ended", "killed", "lost", "left"]
    workers: int


class DeviceMemory(msgspec.Struct, frozen=True):
    """The memory of one device; for the CPU, that of the machine. A total of 0 means unknown."""

    backend: str
    index: int
    name: str
    memory_total_bytes: int
    memory_free_bytes: int


class Usable(msgspec.Struct, frozen=True, omit_defaults=True):
    """`llm-worker-rbee detect --json`: what the installed llama.cpp can compute on.

    `backends`, best first; `devices` counts them by backend; `memory` lists them in the order of
    the index that a worker is started with. `memory` is empty if llama.cpp does not report it.
    """

    backends: list[str]
    devices: dict[str, int]
    memory: list[DeviceMemory] = []


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """`rbee-hive detect --json`: what the machine has beside what the installed llama.cpp can use.

    `hardware` is what is there, in bytes. `backends`, best first, and `devices` are what is usable
    now. `advice` holds the commands that fix a difference between the two; `notes` say what could
    not be examined, and why. `time_unix` is the machine's clock when it finished.
    """

    version: str
    hardware: list[DeviceMemory]
    backends: list[str]
    devices: dict[str, int]
    advice: list[str] = []
    notes: list[str] = []
    time_unix: float | None = None


class NodeInfo(msgspec.Struct, frozen=True):
    """GET /v1/node. All sizes in bytes; `devices` counts them by backend; `time_unix` is the node's
    clock."""

    backends: list[str]
    devices: dict[str, int]
    memory: list[DeviceMemory]
    ram_total_bytes: int
    ram_free_bytes: int
    disk_free_bytes: int
    state: Literal["running", "draining"]
    owner: Owner | None
    time_unix: float | None = None


class HeldModel(msgspec.Struct, frozen=True):
    """A whole model on a node's disk. `required_bytes` is the memory that it needs, with the KV
    cache of the node's configured context; None if its header can't be read."""

    reference: str
    quantization: str | None
    size_bytes: int
    required_bytes: int | None


class RunningDownload(msgspec.Struct, frozen=True):
    """A model that is being downloaded to a node. `bytes_total` is 0 if it is not known."""

    reference: str
    bytes_downloaded: int
    bytes_total: int


class NodeFacts(msgspec.Struct, frozen=True):
    """The `facts` event of a hive: what its node can compute on, has free, has on disk and
    downloads, at this moment. Sizes in bytes. It comes soon after the stream has begun, and when it
    has changed. `bundled` are the models that are installed with rbee. The memory of a card may
    have been seen up to a minute before: `counted` are the ids of the workers that had their models
    in memory then, also of those that have ended since."""

    backends: list[str]
    devices: dict[str, int]
    memory: list[DeviceMemory]
    models: list[HeldModel]
    disk_free_bytes: int
    downloads: list[RunningDownload] = []
    bundled: list[str] = []
    counted: list[str] = []
