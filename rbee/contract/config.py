"""What the configuration file may say, section by section, with the defaults.

One file serves all four programs. A key stands here only when a program obeys it, and its
description says what it is for: in the reference page and in the config file that is installed.
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

_INSTEAD = "What to start in place of {}, written as in a shell: under numactl, in a container."


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """A section refuses what it does not know."""


class QueenSection(_Section, frozen=True):
    """Where the queen is, and how many requests may wait for her."""

    host: Annotated[Host, Meta(description="The address that she listens on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Her port; 0 is any free one.")] = 8080
    url: Annotated[
        str | None,
        Meta(
            description="Where the keeper looks for her; unset, it follows from `host` and `port`. "
            "One on another machine is used, never started.",
            examples=["http://queen.home.arpa:8080"],
        ),
    ] = None
    queue_limit: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="How many requests may wait while all slots are busy; one more is refused.",
        ),
    ] = 64
    command: Annotated[
        Command | None,
        Meta(description=_INSTEAD.format("queen-rbee"), examples=["/opt/rbee/bin/queen-rbee"]),
    ] = None


class HiveSection(_Section, frozen=True):
    """Where a hive listens, and when it ends a worker."""

    host: Annotated[
        Host,
        Meta(
            description="The address that a hive listens on; one that the queen starts over SSH "
            "is told by her."
        ),
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Its port; 0 is any free one.")] = 9200
    worker_host: Annotated[
        Host | None,
        Meta(
            description="The address that its workers listen on; unset, the hive's own.",
            examples=["192.168.1.20"],
        ),
    ] = None
    idle_timeout_s: Annotated[
        Seconds,
        Meta(
            description="A worker that nobody has asked for so many seconds is ended, and its "
            "memory is free again."
        ),
    ] = 300
    health_interval_s: Annotated[
        Seconds, Meta(description="Seconds between two health checks of a worker.")
    ] = 30
    health_misses: Annotated[
        int,
        Meta(ge=1, le=100, description="So many health checks missed in a row end a worker."),
    ] = 3
    loading_stall_s: Annotated[
        Seconds,
        Meta(description="A load that makes no progress for so many seconds is ended."),
    ] = 300
    command: Annotated[
        Command | None,
        Meta(
            description=_INSTEAD.format("rbee-hive") + " On this machine only.",
            examples=["/opt/rbee/bin/rbee-hive"],
        ),
    ] = None


class WorkerSection(_Section, frozen=True):
    """What every worker of this machine is started with."""

    slots: Annotated[
        int, Meta(ge=1, le=256, description="How many requests a worker answers at once.")
    ] = 4
    context: Annotated[
        Annotated[int, Meta(ge=64, le=16_777_216)] | None,
        Meta(
            description="Tokens of context, shared by all slots; unset, what the model was trained "
            "for, at most 8192.",
            examples=[16384],
        ),
    ] = None
    threads: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | None,
        Meta(description="Threads that compute; unset, one for each physical core.", examples=[4]),
    ] = None
    mmap: Annotated[
        bool, Meta(description="Map the model's file into memory in place of copying it.")
    ] = True
    command: Annotated[
        Command | None,
        Meta(
            description=_INSTEAD.format("llm-worker-rbee"),
            examples=["numactl -N 0 llm-worker-rbee"],
        ),
    ] = None


class ModelsSection(_Section, frozen=True):
    """Where models are kept, what they are called, and how long a silent download is waited for."""

    dir: Annotated[
        str | None,
        Meta(
            description="The folder for models; unset, ~/.local/share/rbee/models.",
            examples=["/data/models"],
        ),
    ] = None
    default: Annotated[
        str | None,
        Meta(
            description="The model that runs where none is named; unset, the bundled one if it is "
            "installed.",
            examples=["qwen-0.5b"],
        ),
    ] = None
    aliases: Annotated[
        dict[str, str],
        Meta(
            description="Short names for references.",
            examples=[{"big": "hf:Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M"}],
        ),
    ] = {}
    download_stall_s: Annotated[
        Seconds,
        Meta(description="A download that brings no byte for so many seconds is tried again."),
    ] = 30


class TimesSection(_Section, frozen=True):
    """How long programs wait for each other, in seconds."""

    connect_s: Annotated[
        Seconds, Meta(description="How long one attempt to connect to another program may take.")
    ] = 10
    lifeline_heartbeat_s: Annotated[
        Seconds,
        Meta(description="Seconds between two signs of life on the lifeline of a hive over SSH."),
    ] = 5
    lifeline_lease_s: Annotated[
        Seconds,
        Meta(
            description="A lifeline over SSH that is silent for so many seconds is lost, and what "
            "hung on it ends."
        ),
    ] = 30
    grace_s: Annotated[
        Seconds,
        Meta(
            description="How long requests that run may take to end when a worker is told to; a "
            "hive has so much more, a queen as much again."
        ),
    ] = 5
    stream_silence_s: Annotated[
        Seconds,
        Meta(
            description="A stream that sends nothing for so many seconds, not even the keep-alive "
            "that comes every 10 s, has broken."
        ),
    ] = 30


class PathsSection(_Section, frozen=True):
    """Where the two databases are."""

    catalog_db: Annotated[
        str | None,
        Meta(
            description="The catalog of models; unset, ~/.rbee/models.db.",
            examples=["/data/rbee/models.db"],
        ),
    ] = None
    beehives_db: Annotated[
        str | None,
        Meta(
            description="The registry of nodes; unset, ~/.rbee/beehives.db.",
            examples=["/data/rbee/beehives.db"],
        ),
    ] = None


class RemoteSection(_Section, frozen=True):
    """How every node that is reached by SSH is set up, before its own `install_path`. `~/` is the
    home there."""

    binary_path: Annotated[
        Path | None,
        Meta(
            description="The program rbee-hive on every node.",
            examples=["/opt/rbee/.venv/bin/rbee-hive"],
        ),
    ] = None
    git_repo_dir: Annotated[
        Path | None,
        Meta(
            description="The folder that rbee is installed into on every node; its hive is "
            ".venv/bin/rbee-hive in there.",
            examples=["~/rbee"],
        ),
    ] = None


class AuthSection(_Section, frozen=True):
    """The API key of this machine's programs."""

    api_key_file: Annotated[
        str | None,
        Meta(
            description="The file with the key; unset, ~/.rbee/api_key, which is made at the first "
            "start.",
            examples=["/etc/rbee/api_key"],
        ),
    ] = None


class LogSection(_Section, frozen=True):
    """What the daemons log. One that another program has started logs to a file in ~/.rbee/logs."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least that is logged."),
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Meta(description="Lines for people, or one JSON document a line.")
    ] = "text"
    max_mb: Annotated[
        float,
        Meta(
            gt=0,
            le=100_000,
            description="A log file that reaches so many MB (10⁶ bytes) is put aside.",
        ),
    ] = 10
    files: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="How many log files of a daemon are kept, with the one in use.",
        ),
    ] = 3


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
