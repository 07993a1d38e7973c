"""Every route of every program, each once: method, path, request, reply, events and deadline.

A route that answers with events has the reply `Nothing`, and `events` names what it may send. The
text below a route says what it is for; the reference page and the OpenAPI documents show it.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from rbee.contract import events as ev
from rbee.contract.daemons import Ack, Hold, QueenHealth, Released
from rbee.contract.embeddings import EmbeddingReply, EmbeddingRequest
from rbee.contract.errors import ErrorEnvelope
from rbee.contract.logs import LogLine
from rbee.contract.models import (
    Deleted,
    DownloadReply,
    DownloadRequest,
    ModelDetails,
    ModelName,
    ModelRows,
    NodeDownload,
    NodeModel,
    NodeModelRows,
    Resolved,
)
from rbee.contract.nodes import HiveGone, HiveHealth, NodeInfo
from rbee.contract.registry import (
    AddNode,
    HiveNode,
    HiveStatuses,
    InstallNode,
    NodeAdded,
    NodeChanged,
    NodeChecks,
    NodeNamed,
    NodeRows,
)
from rbee.contract.tasks import InferenceRequest, TaskRequest
from rbee.contract.workers import (
    ModelFacts,
    NodeWorkerRow,
    NodeWorkerRows,
    Readiness,
    ReadyCallback,
    SpawnReply,
    SpawnRequest,
    StartWorker,
    WorkerChecks,
    WorkerGone,
    WorkerHealth,
    WorkerName,
    WorkerRow,
    WorkerRows,
    WorkerStatus,
)

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


class Endpoint(msgspec.Struct, Generic[RequestT, ReplyT], frozen=True):
    """A route. `{name}` in `path` is a parameter; the names in `query` are optional. `open` routes
    want no API key. `within_s` bounds a whole exchange, in seconds; a stream is bounded by its
    silence instead."""

    method: str
    path: str
    request: type[RequestT]
    reply: type[ReplyT]
    events: tuple[type, ...] = ()
    status: int = 200
    open: bool = False
    query: tuple[str, ...] = ()
    within_s: float = 30.0


class Nothing(msgspec.Struct, frozen=True):
    """No body."""


class Text(msgspec.Struct, frozen=True):
    """A reply that is not JSON."""


def _get(
    path: str, reply: type[ReplyT], open: bool = False, within_s: float = 30.0
) -> Endpoint[Nothing, ReplyT]:
    return Endpoint("GET", path, Nothing, reply, open=open, within_s=within_s)


def _stream(path: str, *events: type) -> Endpoint[Nothing, Nothing]:
    return Endpoint("GET", path, Nothing, Nothing, events)


# On every daemon.
METRICS = _get("/metrics", Text)
"""Figures for Prometheus, as text."""
SHUTDOWN = Endpoint("POST", "/v1/admin/shutdown", Nothing, Ack, status=202, within_s=2)
"""The orderly end begins once the reply is out: no new work, then the workers, then the program."""

# queen
QUEEN_HEALTH = _get("/health", QueenHealth, open=True, within_s=5)
"""Who answers here; it may be another program than a queen, so look at `program`."""
QUEEN_HOLD = _stream("/v2/hold", Hold)
"""While this stream is open, an ephemeral queen stays."""
QUEEN_RELEASE = Endpoint("DELETE", "/v2/hold/{hold_id}", Nothing, Released, within_s=5)
"""Let go of a hold; the answer says whether the queen goes on."""
QUEEN_KEEP = Endpoint("POST", "/v1/admin/keep", Nothing, Ack, within_s=5)
"""An ephemeral queen becomes persistent."""
QUEEN_TASKS = Endpoint(
    "POST",
    "/v2/tasks",
    TaskRequest,
    Nothing,
    (
        ev.Accepted,
        ev.Queued,
        ev.Narration,
        ev.Download,
        ev.Loading,
        ev.Started,
        ev.Token,
        ev.Done,
        ErrorEnvelope,
    ),
)
"""Ask a model. The queen finds a node, provides model and worker, and relays the answer."""
QUEEN_CANCEL = Endpoint(
    "DELETE", "/v2/tasks/{request_id}", Nothing, Nothing, status=204, within_s=5
)
"""Cancel a task in any phase: queue, download, load or answer. Once more is no error."""
QUEEN_WORKERS = Endpoint(
    "GET", "/v2/workers/list", Nothing, NodeWorkerRows, query=("node",), within_s=20
)
"""The workers of a node; without one, those of all."""
QUEEN_WORKER_START = Endpoint(
    "POST",
    "/v2/workers/start",
    StartWorker,
    Nothing,
    (ev.Narration, ev.Download, ev.Loading, NodeWorkerRow, ErrorEnvelope),
)
"""Start a worker on a node, its model downloaded first; `ready` says that it serves."""
QUEEN_WORKER_HEALTH = Endpoint(
    "GET", "/v2/workers/health", Nothing, WorkerChecks, query=("node",), within_s=20
)
"""Ask each worker now how it is; without a node, those of all."""
QUEEN_WORKER_SHUTDOWN = Endpoint("POST", "/v2/workers/shutdown", WorkerName, Ack, within_s=60)
"""End one worker, wherever it is."""
QUEEN_LOGS = Endpoint(
    "GET",
    "/v2/logs",
    Nothing,
    Nothing,
    (LogLine, ev.Narration, ErrorEnvelope),
    query=("node", "follow", "lines"),
)
"""The last `lines` of a node's hive and workers; with `follow=true` also what comes after."""
QUEEN_MODELS = Endpoint("GET", "/v2/models", Nothing, NodeModelRows, query=("node",), within_s=200)
"""The models on a node; without a node, on all."""
QUEEN_DOWNLOAD = Endpoint(
    "POST",
    "/v2/models/download",
    NodeDownload,
    Nothing,
    (ev.Narration, ev.Download, ErrorEnvelope),
)
"""Fetch a model onto a node."""
QUEEN_MODEL_INFO = Endpoint("POST", "/v2/models/info", NodeModel, ModelDetails, within_s=200)
"""What is known of a model, on the node or on the Hub."""
QUEEN_MODEL_VERIFY = Endpoint(
    "POST", "/v2/models/verify", NodeModel, Nothing, (ev.Verify, ErrorEnvelope)
)
"""Hash a model's files again and compare."""
QUEEN_MODEL_DELETE = Endpoint("POST", "/v2/models/delete", NodeModel, Deleted, within_s=200)
"""Delete a model, or what there is of it; refused while a worker holds it."""
QUEEN_ADD_NODE = Endpoint("POST", "/v2/registry/beehives/add", AddNode, NodeAdded, within_s=120)
"""Test a node and keep it; what was known of that name is replaced."""
QUEEN_NODES = _get("/v2/registry/beehives/list", NodeRows)
"""The nodes, as the registry and the config file have them."""
QUEEN_CHECK_NODES = _get("/v2/registry/beehives/check", NodeChecks, within_s=120)
"""Look at every node: whether it can be reached, which rbee it has, and what time it is there."""
QUEEN_REMOVE_NODE = Endpoint("POST", "/v2/registry/beehives/remove", NodeNamed, NodeChanged)
"""Forget a node. A hive that the queen has started there ends."""
QUEEN_INSTALL = Endpoint(
    "POST",
    "/v2/registry/beehives/install",
    InstallNode,
    Nothing,
    (ev.Narration, ErrorEnvelope),
)
"""Install rbee on a node, or bring it up to date."""
QUEEN_RELOAD_NODES = Endpoint("POST", "/v2/registry/reload", Nothing, NodeChanged)
"""Take up the sections [nodes.NAME] of the config file as they are now."""
QUEEN_HIVE_START = Endpoint(
    "POST", "/v2/hives/start", HiveNode, Nothing, (ev.Narration, ErrorEnvelope)
)
"""Start the hive of a node, or meet one that runs there."""
QUEEN_HIVE_STOP = Endpoint(
    "POST", "/v2/hives/stop", HiveNode, Nothing, (ev.Narration, ErrorEnvelope)
)
"""End the hive of a node, and its workers."""
QUEEN_HIVES = Endpoint(
    "GET", "/v2/hives/status", Nothing, HiveStatuses, query=("node",), within_s=60
)
"""Whether the hive of a node runs, and what it has; without a node, of all."""
QUEEN_EVENTS = _stream("/v2/events", ev.Narration, WorkerRow, WorkerGone, HiveGone)
"""What happens on all nodes, until the reader goes."""

# hive
HIVE_HEALTH = _get("/v1/health", HiveHealth, within_s=5)
"""Whether the hive lives, and its version."""
HIVE_NODE = _get("/v1/node", NodeInfo, within_s=10)
"""What the machine has and what can be computed on."""
HIVE_WORKERS = _get("/v1/workers/list", WorkerRows, within_s=5)
"""The registry of workers, which lives in memory."""
HIVE_SPAWN = Endpoint("POST", "/v1/workers/spawn", SpawnRequest, SpawnReply, within_s=120)
"""Start a worker, its model downloaded first; answered when the worker listens."""
HIVE_READY = Endpoint("POST", "/v1/workers/ready", ReadyCallback, Ack)
"""The callback of a worker that listens; 404 for one that this hive did not start."""
HIVE_WORKER_SHUTDOWN = Endpoint("POST", "/v1/workers/shutdown", WorkerName, Ack)
"""End one worker."""
HIVE_MODELS = _get("/v1/models", ModelRows, within_s=180)
"""The models on this machine, partial ones too, and the disk."""
HIVE_RESOLVE = Endpoint("POST", "/v1/models/resolve", ModelName, Resolved)
"""Which model on the disk a reference means, asking nobody."""
HIVE_DOWNLOAD = Endpoint(
    "POST", "/v1/models/download", DownloadRequest, DownloadReply, within_s=180
)
"""Begin a download, or join one that runs."""
HIVE_DOWNLOAD_PROGRESS = Endpoint(
    "GET",
    "/v1/models/download/progress",
    Nothing,
    Nothing,
    (ev.Download, ErrorEnvelope),
    query=("id",),
)
"""How the download `id` goes; 404 for one that is not known."""
HIVE_MODEL_INFO = Endpoint("POST", "/v1/models/info", ModelName, ModelDetails, within_s=180)
"""What is known of a model, on this machine or on the Hub."""
HIVE_MODEL_VERIFY = Endpoint(
    "POST", "/v1/models/verify", ModelName, Nothing, (ev.Verify, ErrorEnvelope)
)
"""Hash a model's files again and compare."""
HIVE_MODEL_DELETE = Endpoint("POST", "/v1/models/delete", ModelName, Deleted, within_s=180)
"""Delete a model, or what there is of it; refused while a worker holds it."""
HIVE_LOGS = Endpoint(
    "GET", "/v1/logs", Nothing, Nothing, (LogLine, ErrorEnvelope), query=("follow", "lines")
)
"""The last `lines` of the hive and its workers; with `follow=true` also what comes after."""
HIVE_EVENTS = _stream("/v1/events", ev.Narration, WorkerRow, WorkerGone)
"""Each worker as it is, at once, then every change and what is narrated."""

# worker
WORKER_HEALTH = _get("/v1/health", WorkerHealth, within_s=5)
"""Whether the worker is well, and the memory that it holds."""
WORKER_HEALTH_OPEN = _get("/health", WorkerHealth, open=True)
"""The same, for whoever has no key."""
WORKER_READY = _get("/v1/ready", Readiness)
"""Whether the model is loaded; while it is not, where to watch."""
WORKER_MODEL = _get("/v1/model", ModelFacts)
"""What the file's header and llama.cpp say of the model; 503 while it loads."""
WORKER_LOADING = _stream("/v1/loading/progress", ev.Loading, ErrorEnvelope)
"""Progress of the load; a late reader gets the latest at once."""
WORKER_INFERENCE = Endpoint(
    "POST",
    "/v1/inference",
    InferenceRequest,
    Nothing,
    (ev.Accepted, ev.Narration, ev.Token, ev.Done, ErrorEnvelope),
)
"""Ask the model; 503 where no slot is free."""
WORKER_CANCEL = Endpoint(
    "DELETE", "/v1/inference/{request_id}", Nothing, Nothing, status=204, within_s=2
)
"""Cancel a request. Once more is no error."""
WORKER_EMBEDDINGS = Endpoint("POST", "/v1/embeddings", EmbeddingRequest, EmbeddingReply)
"""Vectors for texts, as OpenAI's API has them. It takes a slot while it runs."""
WORKER_EVENTS = _stream("/v1/events", ev.Narration, ev.Loading, WorkerStatus)
"""What the worker does, as it changes."""
