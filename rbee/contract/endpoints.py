"""Every route of every program, each once: method, path, request, reply, events and deadline.

`events` names what a stream may send. A route that only streams has the reply `Nothing`; one that
has both streams to a client that accepts `text/event-stream`, and else replies in JSON. The text
below a route says what it is for; the reference page and the OpenAPI documents show it.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from rbee.contract import events as ev
from rbee.contract.daemons import Ack, Hold, QueenHealth, Released
from rbee.contract.embeddings import EmbeddingReply, EmbeddingRequest, RerankReply, RerankRequest
from rbee.contract.errors import ErrorEnvelope
from rbee.contract.keys import ChangeKey, CreateKey, KeyCreated, KeyRow, KeyRows, Role
from rbee.contract.logs import LogLine
from rbee.contract.models import (
    Deleted,
    DownloadReply,
    DownloadRequest,
    FoundRepositories,
    ModelCards,
    ModelDetails,
    ModelMetadata,
    ModelName,
    ModelRows,
    NodeDownload,
    NodeModel,
    NodeModelRows,
    NodeSearch,
    Resolved,
    SearchModels,
    SharedModel,
)
from rbee.contract.nodes import HiveGone, HiveHealth, NodeFacts, NodeInfo
from rbee.contract.overview import Overview
from rbee.contract.proof import Proof
from rbee.contract.queue import Decisions, TaskRows
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
from rbee.contract.texts import (
    DetokenizeRequest,
    PlainText,
    PromptText,
    TemplateText,
    TokenizeRequest,
    Tokens,
)
from rbee.contract.workers import (
    EndWorker,
    LoadedModels,
    ModelFacts,
    NodeStandbyRows,
    NodeWorkerRow,
    NodeWorkerRows,
    PromptReply,
    Readiness,
    ReadyCallback,
    SpawnReply,
    SpawnRequest,
    StandbyRows,
    StartWorker,
    WorkerChecks,
    WorkerGone,
    WorkerHealth,
    WorkerName,
    WorkerRow,
    WorkerRows,
    WorkerStatus,
)

# What a hive may take for a question to the Hub, and before that a node that has to be woken.
_WITH_BOOT_S = 200.0 + 120.0

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


class Endpoint(msgspec.Struct, Generic[RequestT, ReplyT], frozen=True):
    """A route. `{name}` in `path` is a parameter; the names in `query` are optional. `open` routes
    want no API key; the others one of at least this `role`. `within_s` bounds a whole exchange, in
    seconds. A stream is bounded by its silence; the queen also bounds the wait for a hive's first
    event other than narration. In a protocol of others, `chunk` is an event of the stream that a
    request may ask for, in a stream of the `chunk_type`, and `error` the shape of errors.
    `degraded` is another status with which the reply may come."""

    method: str
    path: str
    request: type[RequestT]
    reply: type[ReplyT]
    events: tuple[type, ...] = ()
    status: int = 200
    open: bool = False
    role: Role = "manage"
    query: tuple[str, ...] = ()
    within_s: float = 30.0
    chunk: type | None = None
    chunk_type: str = "text/event-stream"
    error: type = ErrorEnvelope
    degraded: int | None = None


class Nothing(msgspec.Struct, frozen=True):
    """No body."""


class Text(msgspec.Struct, frozen=True):
    """A reply that is not JSON."""


class Content(msgspec.Struct, frozen=True):
    """A reply that is the bytes of a file, or with `Range` a part of them."""


def _get(
    path: str, reply: type[ReplyT], open: bool = False, within_s: float = 30.0
) -> Endpoint[Nothing, ReplyT]:
    return Endpoint("GET", path, Nothing, reply, open=open, within_s=within_s)


def _stream(path: str, *events: type, role: Role = "manage") -> Endpoint[Nothing, Nothing]:
    return Endpoint("GET", path, Nothing, Nothing, events, role=role)


# On every daemon.
METRICS = _get("/metrics", Text)
"""Metrics for Prometheus, as text."""
SHUTDOWN = Endpoint("POST", "/v1/admin/shutdown", Nothing, Ack, status=202, within_s=2)
"""Shut down in order, once the reply is sent: refuse new work, stop the workers, then exit."""
PROOF = Endpoint(
    "GET",
    "/v1/auth/proof",
    Nothing,
    Proof,
    open=True,
    query=("nonce", "address", "host", "key_id", "machine"),
    within_s=5,
)
"""Prove that the daemon knows the key, before a client shows it. The proof is for this connection's
address alone; 421 if `address` and `host` are not the daemon's, or `machine` is another one."""

# queen
QUEEN_HEALTH = replace(_get("/health", QueenHealth, open=True, within_s=5), degraded=503)
"""Which program answers here; it may not be a queen, so check `program`. A queen that serves no
task that waits says so with 503."""
QUEEN_HEALTH_V1 = replace(QUEEN_HEALTH, path="/v1/health")
"""The same, for clients that look for it below /v1."""
QUEEN_HOLD = _stream("/v2/hold", Hold, role="use")
"""Keep an ephemeral queen running for as long as this stream is open."""
QUEEN_RELEASE = Endpoint("DELETE", "/v2/hold/{hold_id}", Nothing, Released, role="use", within_s=5)
"""Release a hold; the answer says whether the queen keeps running."""
QUEEN_KEEP = Endpoint("POST", "/v1/admin/keep", Nothing, Ack)
"""Make an ephemeral queen persistent."""
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
        ev.Prefill,
        ev.Token,
        ev.Done,
        ErrorEnvelope,
    ),
    role="use",
)
"""Ask a model. The queen chooses a node, provides the model and a worker, and relays the answer."""
QUEEN_CANCEL = Endpoint(
    "DELETE", "/v2/tasks/{request_id}", Nothing, Nothing, status=204, within_s=5, role="use"
)
"""Cancel a task in any phase: queue, download, load or answer. Repeating it is not an error. A key
of the role `use` cancels its own tasks only; for those of others nothing happens."""
QUEEN_QUEUE = Endpoint("GET", "/v2/tasks", Nothing, TaskRows, within_s=5, role="use")
"""The tasks that run, start or wait, from memory. A key of the role `use` sees its own."""
QUEEN_DECISIONS = _get("/v2/decisions", Decisions, within_s=5)
"""The last 200 decisions on tasks: where each went, or why it did not."""
QUEEN_WORKERS = Endpoint(
    "GET", "/v2/workers/list", Nothing, NodeWorkerRows, role="use", query=("node",), within_s=20
)
"""The workers of a node; without a node, of all nodes. A key of the role `use` sees those whose
model it may use."""
QUEEN_STANDBY = Endpoint(
    "GET", "/v2/workers/standby", Nothing, NodeStandbyRows, query=("node",), within_s=20
)
"""The standby workers of a node; without a node, of all nodes."""
QUEEN_WORKER_START = Endpoint(
    "POST",
    "/v2/workers/start",
    StartWorker,
    Nothing,
    (ev.Narration, ev.Download, ev.Loading, NodeWorkerRow, ErrorEnvelope),
)
"""Start a worker on a node, after downloading its model; `ready` means that it can answer."""
QUEEN_WORKER_HEALTH = Endpoint(
    "GET", "/v2/workers/health", Nothing, WorkerChecks, query=("node",), within_s=20
)
"""Check each worker of a node now; without a node, of all nodes."""
QUEEN_WORKER_SHUTDOWN = Endpoint("POST", "/v2/workers/shutdown", WorkerName, Ack, within_s=60)
"""Stop one worker, on whichever node it is."""
QUEEN_LOGS = Endpoint(
    "GET",
    "/v2/logs",
    Nothing,
    Nothing,
    (LogLine, ev.Narration, ErrorEnvelope),
    query=("node", "follow", "lines"),
)
"""The last `lines` of a node's hive and workers; with `follow=true`, every new line as well."""
QUEEN_MODELS = Endpoint(
    "GET", "/v2/models", Nothing, NodeModelRows, role="use", query=("node",), within_s=200
)
"""The models on a node; without a node, on all nodes. A key of the role `use` sees those that it
may use."""
QUEEN_DOWNLOAD = Endpoint(
    "POST",
    "/v2/models/download",
    NodeDownload,
    Nothing,
    (ev.Narration, ev.Download, ErrorEnvelope),
)
"""Download a model to a node."""
QUEEN_MODEL_INFO = Endpoint(
    "POST", "/v2/models/info", NodeModel, ModelDetails, within_s=_WITH_BOOT_S
)
"""What is known about a model, on the node or on the Hub."""
QUEEN_MODEL_SEARCH = Endpoint(
    "POST", "/v2/models/search", NodeSearch, FoundRepositories, within_s=_WITH_BOOT_S
)
"""Search the Hub for repositories with GGUF files, and say which of their models fit the node."""
QUEEN_MODEL_VERIFY = Endpoint(
    "POST", "/v2/models/verify", NodeModel, Nothing, (ev.Verify, ErrorEnvelope)
)
"""Hash a model's files again, and compare with the known sha256."""
QUEEN_MODEL_DELETE = Endpoint(
    "POST", "/v2/models/delete", NodeModel, Deleted, within_s=_WITH_BOOT_S
)
"""Delete a model, or its partial download; refused while a worker uses it."""
QUEEN_ADD_NODE = Endpoint("POST", "/v2/registry/beehives/add", AddNode, NodeAdded, within_s=120)
"""Test a node and save it, replacing any node of that name."""
QUEEN_NODES = _get("/v2/registry/beehives/list", NodeRows)
"""The nodes in the registry and the config file."""
QUEEN_CHECK_NODES = _get("/v2/registry/beehives/check", NodeChecks, within_s=120)
"""Check every node: whether it can be reached, its version of rbee, and its clock."""
QUEEN_REMOVE_NODE = Endpoint("POST", "/v2/registry/beehives/remove", NodeNamed, NodeChanged)
"""Forget a node. If the queen started its hive, the hive is stopped."""
QUEEN_INSTALL = Endpoint(
    "POST",
    "/v2/registry/beehives/install",
    InstallNode,
    Nothing,
    (ev.Narration, ErrorEnvelope),
)
"""Install rbee on a node, or update it."""
QUEEN_WAKE_NODE = Endpoint(
    "POST",
    "/v2/registry/beehives/wake",
    NodeNamed,
    Nothing,
    (ev.Narration, ErrorEnvelope),
)
"""Wake a node by Wake-on-LAN, and wait until it answers; one that is awake is sent nothing."""
QUEEN_RELOAD_NODES = Endpoint("POST", "/v2/registry/reload", Nothing, NodeChanged)
"""Reload the [nodes.NAME] sections of the config file."""
QUEEN_KEY_CREATE = Endpoint("POST", "/v2/keys", CreateKey, KeyCreated)
"""Create a key with a name; 409 if the name is taken."""
QUEEN_KEYS = _get("/v2/keys", KeyRows)
"""The keys with a name, without the keys themselves."""
QUEEN_KEY_CHANGE = Endpoint("POST", "/v2/keys/{name}", ChangeKey, KeyRow)
"""Change the limits or the weight of a key: it stays the same key, and its requests go on."""
QUEEN_KEY_REVOKE = Endpoint("DELETE", "/v2/keys/{name}", Nothing, Ack)
"""Revoke a key: it opens nothing any more, and its requests and streams end."""
QUEEN_HIVE_START = Endpoint(
    "POST", "/v2/hives/start", HiveNode, Nothing, (ev.Narration, ErrorEnvelope)
)
"""Start the hive of a node, or connect to one that is running there."""
QUEEN_HIVE_STOP = Endpoint(
    "POST", "/v2/hives/stop", HiveNode, Nothing, (ev.Narration, ErrorEnvelope)
)
"""Stop the hive of a node, and its workers."""
QUEEN_HIVES = Endpoint(
    "GET", "/v2/hives/status", Nothing, HiveStatuses, query=("node",), within_s=60
)
"""Whether the hive of a node is running, and what it has; without a node, of all nodes."""
QUEEN_OVERVIEW = Endpoint("GET", "/v2/nodes", Nothing, Overview, (Overview,))
"""Every node with its devices, workers and downloads, from memory: no node is asked. The stream has
it all again whenever something changes, at most twice a second."""
QUEEN_EVENTS = _stream("/v2/events", ev.Narration, WorkerRow, WorkerGone, HiveGone)
"""What happens on all nodes, for as long as the client reads."""

# hive
HIVE_HEALTH = _get("/v1/health", HiveHealth, within_s=10)
"""Whether the hive is alive, and its version."""
HIVE_NODE = _get("/v1/node", NodeInfo, within_s=10)
"""The machine's hardware, and the backends that llama.cpp can use."""
HIVE_WORKERS = _get("/v1/workers/list", WorkerRows, within_s=5)
"""The workers of this hive."""
HIVE_STANDBY = _get("/v1/workers/standby", StandbyRows, within_s=5)
"""The processes that wait to become a worker of this hive."""
HIVE_LOADED = _get("/v1/workers/loaded", LoadedModels, within_s=5)
"""The models that workers of this hive have in memory."""
HIVE_SPAWN = Endpoint(
    "POST",
    "/v1/workers/spawn",
    SpawnRequest,
    SpawnReply,
    (ev.Narration, WorkerRow, ev.Loading, WorkerGone, ErrorEnvelope),
    within_s=120,
)
"""Start a worker, after downloading its model; the reply comes once the worker listens. The stream
goes on until the worker is loaded, and closes with its row, or with `worker_gone` if it ended."""
HIVE_READY = Endpoint("POST", "/v1/workers/ready", ReadyCallback, Ack)
"""The callback of a worker that listens; 404 if this hive did not start it."""
HIVE_WORKER_SHUTDOWN = Endpoint("POST", "/v1/workers/shutdown", EndWorker, Ack)
"""Stop one worker; with `only_if_idle`, 409 if it is not idle."""
HIVE_MODELS = _get("/v1/models", ModelRows)
"""The models on this machine, including partial ones, and the free disk space."""
HIVE_MODEL_CARDS = _get("/v1/models/cards", ModelCards, within_s=180)
"""What the headers of the whole models on this machine tell, the bundled one included. The first
answer waits until every header has been read."""
HIVE_MODEL_METADATA = Endpoint("POST", "/v1/models/metadata", ModelName, ModelMetadata)
"""The header of a model on this machine, with its chat template; the Hub is not asked."""
HIVE_RESOLVE = Endpoint("POST", "/v1/models/resolve", ModelName, Resolved)
"""Which model on this machine a reference means; the Hub is not asked."""
HIVE_DOWNLOAD = Endpoint(
    "POST",
    "/v1/models/download",
    DownloadRequest,
    DownloadReply,
    (ev.Narration, ev.Download, DownloadReply, ErrorEnvelope),
    within_s=180,
)
"""Start a download, or join one that is running. The reply comes at once; the stream goes on until
the model is there, unless `detach` is set, and closes with the reply."""
HIVE_DOWNLOAD_PROGRESS = Endpoint(
    "GET",
    "/v1/models/download/progress",
    Nothing,
    Nothing,
    (ev.Download, ErrorEnvelope),
    query=("id",),
)
"""The progress of the download `id`; 404 if it is unknown."""
HIVE_MODEL_INFO = Endpoint("POST", "/v1/models/info", ModelName, ModelDetails, within_s=180)
"""What is known about a model, on this machine or on the Hub."""
HIVE_MODEL_SEARCH = Endpoint(
    "POST", "/v1/models/search", SearchModels, FoundRepositories, within_s=180
)
"""Search the Hub for repositories with GGUF files, and say which of their models fit this
machine."""
HIVE_MODEL_SHARE = Endpoint("POST", "/v1/models/share", ModelName, SharedModel, within_s=5)
"""Let another hive fetch a model of this one. Only a whole model whose hash is known is shared."""
HIVE_MODEL_FILE = Endpoint("GET", "/v1/models/files/{name}", Nothing, Content, role="use")
"""A file of the model that the ticket is for. The ticket is sent as the key, and opens nothing
else."""
HIVE_MODEL_VERIFY = Endpoint(
    "POST", "/v1/models/verify", ModelName, Nothing, (ev.Verify, ErrorEnvelope)
)
"""Hash a model's files again, and compare with the known sha256."""
HIVE_MODEL_DELETE = Endpoint("POST", "/v1/models/delete", ModelName, Deleted, within_s=180)
"""Delete a model, or its partial download; refused while a worker uses it."""
HIVE_LOGS = Endpoint(
    "GET", "/v1/logs", Nothing, Nothing, (LogLine, ErrorEnvelope), query=("follow", "lines")
)
"""The last `lines` of the hive and its workers; with `follow=true`, every new line as well."""
HIVE_EVENTS = _stream(
    "/v1/events", ev.Snapshot, ev.Resumed, ev.Narration, WorkerRow, WorkerGone, NodeFacts
)
"""A snapshot of the workers and the node, then every change and every narrated line. Each event has
an `id:`, the epoch of this hive and a number that grows by one. A client that sends the last one as
`Last-Event-ID` gets `resumed` and what it missed if that is among the last 1024 events."""

# worker
WORKER_HEALTH = _get("/v1/health", WorkerHealth, within_s=5)
"""Whether the worker is healthy, and the memory it uses."""
WORKER_HEALTH_OPEN = _get("/health", WorkerHealth, open=True)
"""The same, for clients without a key."""
WORKER_READY = _get("/v1/ready", Readiness)
"""Whether the model is loaded; while it is loading, where to follow the progress."""
WORKER_MODEL = _get("/v1/model", ModelFacts)
"""What the file's header and llama.cpp say about the model; 503 while it is loading."""
WORKER_LOADING = _stream("/v1/loading/progress", ev.Loading, ErrorEnvelope)
"""The progress of loading; a client that connects late gets the latest event at once."""
WORKER_INFERENCE = Endpoint(
    "POST",
    "/v1/inference",
    InferenceRequest,
    Nothing,
    (ev.Accepted, ev.Narration, ev.Prefill, ev.Token, ev.Done, ErrorEnvelope),
)
"""Ask the model; 503 if no slot is free."""
WORKER_CANCEL = Endpoint(
    "DELETE", "/v1/inference/{request_id}", Nothing, Nothing, status=204, within_s=2
)
"""Cancel a request. Repeating it is not an error."""
WORKER_PROMPT = Endpoint("POST", "/v1/prompt", InferenceRequest, PromptReply, within_s=60)
"""Count the tokens of a request's prompt, as /v1/inference would read it. It takes no slot, and the
prompt may be longer than the context."""
WORKER_EMBEDDINGS = Endpoint(
    "POST", "/v1/embeddings", EmbeddingRequest, EmbeddingReply, within_s=600
)
"""Embeddings of texts, in the format of OpenAI's API. The request occupies a slot."""
WORKER_RERANK = Endpoint("POST", "/v1/rerank", RerankRequest, RerankReply, within_s=600)
"""Documents by how well they answer a query, for models with a rank head. The request occupies a
slot."""
WORKER_TOKENIZE = Endpoint("POST", "/v1/tokenize", TokenizeRequest, Tokens, within_s=60)
"""The tokens of a text, as llama.cpp's server has them. It takes no slot."""
WORKER_DETOKENIZE = Endpoint("POST", "/v1/detokenize", DetokenizeRequest, PlainText, within_s=60)
"""The text of some tokens. It takes no slot."""
WORKER_TEMPLATE = _get("/v1/template", TemplateText)
"""The model's chat template; 503 while the model is loading."""
WORKER_WRITE_PROMPT = Endpoint("POST", "/v1/template", InferenceRequest, PromptText, within_s=60)
"""The prompt that the chat template writes of a conversation. It takes no slot."""
WORKER_SHUTDOWN_IF_IDLE = Endpoint(
    "POST", "/v1/admin/shutdown-if-idle", Nothing, Ack, status=202, within_s=2
)
"""Shut down as /v1/admin/shutdown does, unless the worker loads or answers a request: then 409, and
nothing has changed."""
WORKER_EVENTS = _stream("/v1/events", ev.Narration, ev.Loading, WorkerStatus)
"""What the worker is doing, whenever it changes."""
