"""What the configuration file may say, section by section, with the defaults.

One file serves all four programs. Every key here is obeyed by some program, and its description
appears in the reference page and in the config file that `install` writes.
`rbee.runtime.settings` reads it; each program takes what it needs into its own settings.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rbee.contract.keys import Weight
from rbee.contract.registry import NodeName, NodeSettings

Port = Annotated[int, Meta(ge=0, le=65535)]
Host = Annotated[str, Meta(min_length=1, max_length=255)]
Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
Path = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-][^\x00-\x1f\x7f]*\Z", max_length=4096)]
Command = Annotated[str, Meta(min_length=1, max_length=4096)]

_INSTEAD = "The command to start instead of {}, as in a shell: under numactl, in a container."


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """A section that rejects unknown keys."""


class QueenSection(_Section, frozen=True):
    """Where the queen listens, and how many requests it lets wait."""

    host: Annotated[Host, Meta(description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="The queen's port; 0 means any free port.")] = 8080
    url: Annotated[
        str | None,
        Meta(
            description="Where the keeper finds the queen; by default derived from `host` and "
            "`port`. A queen on another machine is used, but never started.",
            examples=["https://queen.home.arpa:8080"],
        ),
    ] = None
    ca: Annotated[
        str | None,
        Meta(
            description="The keeper trusts only the CAs in this file (PEM) for an https:// "
            "address; by default the system's, and the one in ~/.rbee/ca.pem if that exists.",
            examples=["~/.config/rbee/ca.pem"],
        ),
    ] = None
    tls_cert: Annotated[
        str | None,
        Meta(
            description="The file with the queen's certificate (PEM), and those between it and its "
            "CA. With it the queen speaks only HTTPS. It is read again when it changes.",
            examples=["~/.rbee/queen.pem"],
        ),
    ] = None
    tls_key: Annotated[
        str | None,
        Meta(
            description="The file with the private key of `tls_cert` (PEM, not encrypted).",
            examples=["~/.rbee/queen-key.pem"],
        ),
    ] = None
    queue_limit: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="How many requests may wait while all slots are busy; more are refused.",
        ),
    ] = 64
    operator_weight: Annotated[
        Weight,
        Meta(
            description="The weight of your own key beside keys with names, which have 1 unless "
            "`auth create --weight` says another."
        ),
    ] = 1
    swap_patience_s: Annotated[
        float,
        Meta(
            ge=0,
            le=31_536_000,
            description="A request for a model that does not fit beside the loaded one waits this "
            "many seconds at most while others ask for the loaded one.",
        ),
    ] = 20
    replicate_after_s: Annotated[
        float,
        Meta(
            ge=0,
            le=31_536_000,
            description="Start a second worker where there is room when requests for a model have "
            "waited this many seconds for a slot; 0 means never.",
        ),
    ] = 10
    command: Annotated[
        Command | None,
        Meta(description=_INSTEAD.format("queen-rbee"), examples=["/opt/rbee/bin/queen-rbee"]),
    ] = None


class HiveSection(_Section, frozen=True):
    """Where a hive listens, and when it stops a worker."""

    host: Annotated[
        Host,
        Meta(
            description="The address to listen on. For a hive that the queen starts over SSH, the "
            "queen chooses it."
        ),
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="The hive's port; 0 means any free port.")] = 9200
    worker_host: Annotated[
        Host | None,
        Meta(
            description="The address that workers listen on; by default the hive's own.",
            examples=["192.168.1.20"],
        ),
    ] = None
    idle_timeout_s: Annotated[
        Seconds,
        Meta(
            description="Stop a worker after this many seconds without a request, and free its "
            "memory."
        ),
    ] = 300
    health_interval_s: Annotated[
        Seconds, Meta(description="Seconds between two health checks of a worker.")
    ] = 30
    health_misses: Annotated[
        int,
        Meta(
            ge=1, le=100, description="Stop a worker that misses this many health checks in a row."
        ),
    ] = 3
    loading_stall_s: Annotated[
        Seconds,
        Meta(description="Stop loading a model after this many seconds without progress."),
    ] = 300
    standby_workers: Annotated[
        int,
        Meta(
            ge=0,
            le=16,
            description="Keep this many worker processes ready, without a model, so that the next "
            "worker starts sooner. Each takes some 65 MB; `worker list --all` shows them.",
        ),
    ] = 1
    command: Annotated[
        Command | None,
        Meta(
            description=_INSTEAD.format("rbee-hive") + " This machine only.",
            examples=["/opt/rbee/bin/rbee-hive"],
        ),
    ] = None


class WorkerSection(_Section, frozen=True):
    """How every worker on this machine is started."""

    slots: Annotated[
        int, Meta(ge=1, le=256, description="How many requests a worker answers at once.")
    ] = 4
    context: Annotated[
        Annotated[int, Meta(ge=64, le=16_777_216)] | None,
        Meta(
            description="Tokens of context, shared by all slots; by default what the model was "
            "trained for, up to 8192.",
            examples=[16384],
        ),
    ] = None
    threads: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | None,
        Meta(description="Compute threads; by default one for each physical core.", examples=[4]),
    ] = None
    mmap: Annotated[
        bool, Meta(description="Map the model's file into memory instead of copying it.")
    ] = True
    cache_ram_mb: Annotated[
        int,
        Meta(
            ge=0,
            le=16_777_216,
            description="Keep what was read of prompts in main memory, up to this many MB for each "
            "worker, while their slots read others; 0 turns it off. Grows only with use.",
        ),
    ] = 1024
    template_s: Annotated[
        Seconds,
        Meta(
            description="A model's chat template that takes longer than this many seconds for a "
            "conversation is stopped."
        ),
    ] = 10
    command: Annotated[
        Command | None,
        Meta(
            description=_INSTEAD.format("llm-worker-rbee"),
            examples=["numactl -N 0 llm-worker-rbee"],
        ),
    ] = None


class ModelsSection(_Section, frozen=True):
    """Where models are kept, what they are called, and when a stalled download is retried."""

    dir: Annotated[
        str | None,
        Meta(
            description="The folder for models; by default ~/.local/share/rbee/models.",
            examples=["/data/models"],
        ),
    ] = None
    default: Annotated[
        str | None,
        Meta(
            description="The model to run when none is named; by default the bundled one, if it is "
            "installed.",
            examples=["qwen-0.5b"],
        ),
    ] = None
    aliases: Annotated[
        dict[str, str],
        Meta(
            description="Short names for model references.",
            examples=[{"big": "hf:Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M"}],
        ),
    ] = {}
    download_stall_s: Annotated[
        Seconds,
        Meta(description="Retry a download after this many seconds without data."),
    ] = 30
    fetch_from_nodes: Annotated[
        bool,
        Meta(
            description="Download a model from a node that has it, if there is one, rather than "
            "from the Hub. The queen decides this for all nodes."
        ),
    ] = True


class TimesSection(_Section, frozen=True):
    """How long programs wait for each other, in seconds."""

    connect_s: Annotated[
        Seconds, Meta(description="How long one attempt to connect to another program may take.")
    ] = 10
    boot_s: Annotated[
        Seconds,
        Meta(description="How long a node that was woken may take until it answers."),
    ] = 120
    lifeline_heartbeat_s: Annotated[
        Seconds,
        Meta(description="Seconds between two heartbeats on the lifeline of a hive over SSH."),
    ] = 5
    lifeline_lease_s: Annotated[
        Seconds,
        Meta(
            description="A lifeline over SSH that is silent for this many seconds is lost: the "
            "hive and its workers end."
        ),
    ] = 30
    grace_s: Annotated[
        Seconds,
        Meta(
            description="How long running requests may take to finish when a worker is stopped. "
            "A hive gets this much on top, and a queen as much again."
        ),
    ] = 5
    stream_silence_s: Annotated[
        Seconds,
        Meta(
            description="A stream that sends nothing for this many seconds, not even a keep-alive "
            "(one comes every 10 s), is broken."
        ),
    ] = 30
    reply_stall_s: Annotated[
        Seconds,
        Meta(
            description="A client that takes nothing of its reply for so long is given up. Models "
            "that other nodes copy are not meant."
        ),
    ] = 60


class PathsSection(_Section, frozen=True):
    """Where the two databases are kept."""

    catalog_db: Annotated[
        str | None,
        Meta(
            description="The catalog of models; by default ~/.rbee/models.db.",
            examples=["/data/rbee/models.db"],
        ),
    ] = None
    beehives_db: Annotated[
        str | None,
        Meta(
            description="The registry of nodes; by default ~/.rbee/beehives.db.",
            examples=["/data/rbee/beehives.db"],
        ),
    ] = None


class RemoteSection(_Section, frozen=True):
    """Where rbee is on the nodes that SSH reaches; it has precedence over a node's own
    `install_path`.
    `~/` is the home directory there."""

    binary_path: Annotated[
        Path | None,
        Meta(
            description="The path of rbee-hive on every node.",
            examples=["/opt/rbee/.venv/bin/rbee-hive"],
        ),
    ] = None
    git_repo_dir: Annotated[
        Path | None,
        Meta(
            description="The folder where rbee is installed on every node; the hive is "
            ".venv/bin/rbee-hive in it.",
            examples=["~/rbee"],
        ),
    ] = None


class AuthSection(_Section, frozen=True):
    """Who may ask this machine's daemons: the API key, the names that they answer to, web pages."""

    api_key_file: Annotated[
        str | None,
        Meta(
            description="The file with the key; by default ~/.rbee/api_key, created at the first "
            "start.",
            examples=["/etc/rbee/api_key"],
        ),
    ] = None
    hosts: Annotated[
        list[Host],
        Meta(
            max_length=256,
            description="Names under which this machine's daemons are reached, besides its host "
            "name, IP addresses and names that only local networks have. HOST:PORT, or an IP "
            "address, is where a proxy or a router passes connections on to them.",
            examples=[["llm.example.org", "192.168.1.2:80"]],
        ),
    ] = []
    origins: Annotated[
        list[Host],
        Meta(
            max_length=256,
            description='Web pages that may ask this machine\'s daemons, by their origin; "*" for '
            "all.",
            examples=[["https://chat.example.org"]],
        ),
    ] = []


class LogSection(_Section, frozen=True):
    """What the daemons log. One that another program started logs to a file in ~/.rbee/logs."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The lowest level that is logged."),
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Meta(description="Lines for people, or one JSON object per line.")
    ] = "text"
    max_mb: Annotated[
        float,
        Meta(
            gt=0,
            le=100_000,
            description="Rotate a log file when it reaches this many MB (10⁶ bytes).",
        ),
    ] = 10
    files: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="How many log files to keep for a daemon, including the current one.",
        ),
    ] = 3


class Config(_Section, frozen=True):
    """The whole file. `nodes` are the machines by name, as in the registry."""

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
