"""What the configuration file may say, section by section, with the defaults.

One file serves all four programs. A key stands here only when a program obeys it.
`rbee.runtime.settings` reads it; each program takes what it needs into its own settings.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rbee.contract.registry import NodeName, NodeSettings

Port = Annotated[int, Meta(ge=0, le=65535)]
Host = Annotated[str, Meta(min_length=1, max_length=255)]
Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
Path = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-][^\x00-\x1f\x7f]*\Z", max_length=4096)]
Command = Annotated[str, Meta(min_length=1, max_length=4096)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """A section refuses what it does not know."""


class QueenSection(_Section, frozen=True):
    """`url` is where the keeper looks for the queen; unset, it follows from host and port."""

    host: Host = "127.0.0.1"
    port: Port = 8080
    url: str | None = None
    queue_limit: Annotated[int, Meta(ge=0, le=100_000)] = 64
    command: Command | None = None


class HiveSection(_Section, frozen=True):
    """Times in seconds; `health_misses` in a row remove a worker. Unset, `worker_host` is where
    the hive listens."""

    host: Host = "127.0.0.1"
    port: Port = 9200
    worker_host: Host | None = None
    idle_timeout_s: Seconds = 300
    health_interval_s: Seconds = 30
    health_misses: Annotated[int, Meta(ge=1, le=100)] = 3
    loading_stall_s: Seconds = 300
    command: Command | None = None


class WorkerSection(_Section, frozen=True):
    """`context` in tokens, shared by all slots; unset, what the model was trained for, at most
    8192. `threads` unset: one for each physical core. `mmap`: map the file instead of copying."""

    slots: Annotated[int, Meta(ge=1, le=256)] = 4
    context: Annotated[int, Meta(ge=64, le=16_777_216)] | None = None
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    mmap: bool = True
    command: Command | None = None


class ModelsSection(_Section, frozen=True):
    """`dir` is where models are kept; unset, ~/.local/share/rbee/models. `default` is what runs
    where no model is named; `aliases` are short names for references. A download that brings no
    byte for `download_stall_s` is tried again."""

    dir: str | None = None
    default: str | None = None
    aliases: dict[str, str] = {}
    download_stall_s: Seconds = 30


class TimesSection(_Section, frozen=True):
    """Seconds. `stream_silence_s`: a stream that sends nothing for so long, not even its
    keep-alive, has broken. The keep-alive comes every 10 s."""

    connect_s: Seconds = 10
    lifeline_heartbeat_s: Seconds = 5
    lifeline_lease_s: Seconds = 30
    grace_s: Seconds = 5
    stream_silence_s: Seconds = 30


class PathsSection(_Section, frozen=True):
    """Unset, the catalog of models is in ~/.rbee/models.db, the registry of nodes in
    ~/.rbee/beehives.db."""

    catalog_db: str | None = None
    beehives_db: str | None = None


class RemoteSection(_Section, frozen=True):
    """How every node that is reached by SSH is set up, before its own `install_path`: the rbee-hive
    program there, and the folder that the repository is cloned into. `~/` is the home there."""

    binary_path: Path | None = None
    git_repo_dir: Path | None = None


class AuthSection(_Section, frozen=True):
    """Unset, the key is in ~/.rbee/api_key, and is made at the first start."""

    api_key_file: str | None = None


class LogSection(_Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Config(_Section, frozen=True):
    """The whole file. `nodes` are the machines by their names, as in the registry."""

    queen: QueenSection = QueenSection()
    hive: HiveSection = HiveSection()
    worker: WorkerSection = WorkerSection()
    models: ModelsSection = ModelsSection()
    times: TimesSection = TimesSection()
    paths: PathsSection = PathsSection()
    auth: AuthSection = AuthSection()
    log: LogSection = LogSection()
    remote: RemoteSection = RemoteSection()
    nodes: dict[NodeName, NodeSettings] = {}
