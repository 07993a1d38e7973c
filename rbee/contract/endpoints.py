"""Every route of every program, each once: method, path, what goes in, what comes out.

A route that answers with events has the reply `Nothing`, and `events` names what it may send.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from rbee.contract import events as ev
from rbee.contract.daemons import Ack, Hold, QueenHealth, Released
from rbee.contract.embeddings import EmbeddingReply, EmbeddingRequest
from rbee.contract.errors import ErrorEnvelope
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
    NodeNamed,
    NodeRows,
)
from rbee.contract.tasks import InferenceRequest, TaskRequest
from rbee.contract.workers import (
    ModelFacts,
    NodeWorkerRows,
    Readiness,
    ReadyCallback,
    SpawnReply,
    SpawnRequest,
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
    """A route. `{name}` in `path` is a parameter; so are the names in `query`, each of which may be
    left out. `open` routes want no API key."""

    method: str
    path: str
    request: type[RequestT]
    reply: type[ReplyT]
    events: tuple[type, ...] = ()
    status: int = 200
    open: bool = False
    query: tuple[str, ...] = ()


class Nothing(msgspec.Struct, frozen=True):
    """No body."""


def _get(path: str, reply: type[ReplyT], open: bool = False) -> Endpoint[Nothing, ReplyT]:
    return Endpoint("GET", path, Nothing, reply, open=open)


def _stream(path: str, *events: type) -> Endpoint[Nothing, Nothing]:
    return Endpoint("GET", path, Nothing, Nothing, events)


class Text(msgspec.Struct, frozen=True):
    """A reply that is no JSON."""


# On every daemon.
METRICS = _get("/metrics", Text)
SHUTDOWN = Endpoint("POST", "/v1/admin/shutdown", Nothing, Ack, status=202)

# queen
QUEEN_HEALTH = _get("/health", QueenHealth, open=True)
QUEEN_HOLD = _stream("/v2/hold", Hold)
QUEEN_RELEASE = Endpoint("DELETE", "/v2/hold/{hold_id}", Nothing, Released)
QUEEN_KEEP = Endpoint("POST", "/v1/admin/keep", Nothing, Ack)
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
QUEEN_CANCEL = Endpoint("DELETE", "/v2/tasks/{request_id}", Nothing, Nothing, status=204)
QUEEN_WORKERS = _get("/v2/workers/list", NodeWorkerRows)
QUEEN_MODELS = Endpoint("GET", "/v2/models", Nothing, NodeModelRows, query=("node",))
QUEEN_DOWNLOAD = Endpoint(
    "POST",
    "/v2/models/download",
    NodeDownload,
    Nothing,
    (ev.Narration, ev.Download, ErrorEnvelope),
)
QUEEN_MODEL_INFO = Endpoint("POST", "/v2/models/info", NodeModel, ModelDetails)
QUEEN_MODEL_VERIFY = Endpoint(
    "POST", "/v2/models/verify", NodeModel, Nothing, (ev.Verify, ErrorEnvelope)
)
QUEEN_MODEL_DELETE = Endpoint("POST", "/v2/models/delete", NodeModel, Deleted)
QUEEN_ADD_NODE = Endpoint("POST", "/v2/registry/beehives/add", AddNode, NodeAdded)
QUEEN_NODES = _get("/v2/registry/beehives/list", NodeRows)
QUEEN_REMOVE_NODE = Endpoint("POST", "/v2/registry/beehives/remove", NodeNamed, NodeChanged)
QUEEN_INSTALL = Endpoint(
    "POST",
    "/v2/registry/beehives/install",
    InstallNode,
    Nothing,
    (ev.Narration, ErrorEnvelope),
)
QUEEN_RELOAD_NODES = Endpoint("POST", "/v2/registry/reload", Nothing, NodeChanged)
QUEEN_HIVE_START = Endpoint(
    "POST", "/v2/hives/start", HiveNode, Nothing, (ev.Narration, ErrorEnvelope)
)
QUEEN_HIVE_STOP = Endpoint(
    "POST", "/v2/hives/stop", HiveNode, Nothing, (ev.Narration, ErrorEnvelope)
)
QUEEN_HIVES = Endpoint("GET", "/v2/hives/status", Nothing, HiveStatuses, query=("node",))
QUEEN_EVENTS = _stream("/v2/events", ev.Narration, WorkerRow, WorkerGone, HiveGone)

# hive
HIVE_HEALTH = _get("/v1/health", HiveHealth)
HIVE_NODE = _get("/v1/node", NodeInfo)
HIVE_WORKERS = _get("/v1/workers/list", WorkerRows)
HIVE_SPAWN = Endpoint("POST", "/v1/workers/spawn", SpawnRequest, SpawnReply)
HIVE_READY = Endpoint("POST", "/v1/workers/ready", ReadyCallback, Ack)
HIVE_WORKER_SHUTDOWN = Endpoint("POST", "/v1/workers/shutdown", WorkerName, Ack)
HIVE_MODELS = _get("/v1/models", ModelRows)
HIVE_RESOLVE = Endpoint("POST", "/v1/models/resolve", ModelName, Resolved)
HIVE_DOWNLOAD = Endpoint("POST", "/v1/models/download", DownloadRequest, DownloadReply)
HIVE_DOWNLOAD_PROGRESS = Endpoint(
    "GET",
    "/v1/models/download/progress",
    Nothing,
    Nothing,
    (ev.Download, ErrorEnvelope),
    query=("id",),
)
HIVE_MODEL_INFO = Endpoint("POST", "/v1/models/info", ModelName, ModelDetails)
HIVE_MODEL_VERIFY = Endpoint(
    "POST", "/v1/models/verify", ModelName, Nothing, (ev.Verify, ErrorEnvelope)
)
HIVE_MODEL_DELETE = Endpoint("POST", "/v1/models/delete", ModelName, Deleted)
HIVE_EVENTS = _stream("/v1/events", ev.Narration, WorkerRow, WorkerGone)

# worker
WORKER_HEALTH = _get("/v1/health", WorkerHealth)
WORKER_HEALTH_OPEN = _get("/health", WorkerHealth, open=True)
WORKER_READY = _get("/v1/ready", Readiness)
WORKER_MODEL = _get("/v1/model", ModelFacts)
WORKER_LOADING = _stream("/v1/loading/progress", ev.Loading, ErrorEnvelope)
WORKER_INFERENCE = Endpoint(
    "POST",
    "/v1/inference",
    InferenceRequest,
    Nothing,
    (ev.Accepted, ev.Narration, ev.Token, ev.Done, ErrorEnvelope),
)
WORKER_CANCEL = Endpoint("DELETE", "/v1/inference/{request_id}", Nothing, Nothing, status=204)
WORKER_EMBEDDINGS = Endpoint("POST", "/v1/embeddings", EmbeddingRequest, EmbeddingReply)
WORKER_EVENTS = _stream("/v1/events", ev.Narration, ev.Loading, WorkerStatus)
