"""Messages about workers: between queen, hive and worker."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

WorkerState = Literal["loading", "idle", "busy", "unhealthy"]

BackendName = Annotated[str, Meta(min_length=1, max_length=32)]
DeviceIndex = Annotated[int, Meta(ge=0, le=255)]
SlotCount = Annotated[int, Meta(ge=1, le=256)]
ContextLength = Annotated[int, Meta(ge=64, le=16_777_216)]


class WorkerWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker shall be. Without a backend, the node's best one is used. `force`: load the
    model even if it may not fit in memory."""

    model: Annotated[str, Meta(min_length=1, max_length=4096)]
    backend: BackendName | None = None
    device: DeviceIndex | None = None
    slots: SlotCount | None = None
    context: ContextLength | None = None
    force: bool = False


class SpawnRequest(WorkerWish, frozen=True, kw_only=True):
    """POST /v1/workers/spawn. `end_with_reader`: if the reader of the stream leaves before the
    model is loaded, the worker ends."""

    end_with_reader: bool = False


class SpawnReply(msgspec.Struct, frozen=True):
    worker_id: str
    url: str
    state: WorkerState


class ReadyCallback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/workers/ready: sent by a worker once it listens."""

    worker_id: Annotated[str, Meta(min_length=1, max_length=64)]
    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    model_ref: str
    backend: str
    device: int


class WorkerRow(msgspec.Struct, frozen=True):
    """A row of the hive's list of workers. Times are seconds since the epoch; None means never.
    `context` is in tokens, which all slots share. `frees_bytes` is about what its device gets back
    when it ends: not the weights of a file that is mapped into main memory. `pinned`: the last
    request asked for it to stay for ever, so it isn't ended to make room."""

    id: str
    url: str
    model_ref: str
    backend: str
    device: int
    state: WorkerState
    last_activity: float | None
    last_health: float | None
    slots_total: int
    slots_available: int
    context: int | None = None
    frees_bytes: int | None = None
    pinned: bool = False


class WorkerRows(msgspec.Struct, frozen=True):
    workers: list[WorkerRow]


class LoadedModel(msgspec.Struct, frozen=True):
    """A model in a worker's memory. `memory_bytes` are its weights and its KV cache, for `context`
    tokens; `device_bytes` of them are on a graphics card. `expires_at` is when the worker ends if
    nobody asks it again, in seconds since the epoch; None means never."""

    worker_id: str
    model_ref: str
    state: WorkerState
    memory_bytes: int
    device_bytes: int
    context: int
    expires_at: float | None


class LoadedModels(msgspec.Struct, frozen=True):
    """GET /v1/workers/loaded of a hive."""

    models: list[LoadedModel]


class StandbyRow(msgspec.Struct, frozen=True):
    """A process without a model, which waits to become a worker. `memory_bytes` is resident."""

    pid: int
    memory_bytes: int


class StandbyRows(msgspec.Struct, frozen=True):
    standby: list[StandbyRow]


class NodeWorkerRow(msgspec.Struct, frozen=True):
    """A row of the queen's list: a worker, and the node it is on. `context` is in tokens, which all
    slots share."""

    worker_id: str
    node: str
    state: WorkerState
    model_ref: str
    url: str
    backend: str
    device: int
    slots_total: int
    slots_available: int
    context: int | None = None

    @classmethod
    def of(cls, node: str, row: WorkerRow) -> NodeWorkerRow:
        """The row of a worker on `node`, from its hive's row."""
        return cls(
            worker_id=row.id,
            node=node,
            state=row.state,
            model_ref=row.model_ref,
            url=row.url,
            backend=row.backend,
            device=row.device,
            slots_total=row.slots_total,
            slots_available=row.slots_available,
            context=row.context,
        )


class StartWorker(WorkerWish, frozen=True, kw_only=True):
    """POST /v2/workers/start. Without a node, the queen chooses one; with `explain` it says why."""

    node: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    explain: bool = False


class WorkerCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker is right now: the queen has just asked it.

    `status` is `unreachable` if it does not answer in time; then `memory_bytes` (resident) is not
    known. `last_health` is when it last answered its hive, in seconds since the epoch.
    """

    worker_id: str
    node: str
    model_ref: str
    state: WorkerState
    status: Literal["healthy", "unhealthy", "unreachable"]
    memory_bytes: int | None = None
    last_health: float | None = None


class WorkerChecks(msgspec.Struct, frozen=True):
    workers: list[WorkerCheck]


class NodeWorkerRows(msgspec.Struct, frozen=True):
    workers: list[NodeWorkerRow]


class NodeStandbyRow(msgspec.Struct, frozen=True):
    """A row of the queen's list: a standby worker, and the node it is on."""

    node: str
    pid: int
    memory_bytes: int
    state: Literal["standby"] = "standby"


class NodeStandbyRows(msgspec.Struct, frozen=True):
    standby: list[NodeStandbyRow]


class WorkerName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that names one worker."""

    worker_id: Annotated[str, Meta(min_length=1, max_length=64)]


class EndWorker(WorkerName, frozen=True, kw_only=True):
    """POST /v1/workers/shutdown of a hive. `only_if_idle`: refuse with MODEL_IN_USE if the worker
    loads or answers a request at that moment."""

    only_if_idle: bool = False


class WorkerHealth(msgspec.Struct, frozen=True):
    """GET /health of a worker. `memory_bytes` is the resident memory of the process."""

    status: Literal["healthy", "unhealthy"]
    model_loaded: bool
    memory_bytes: int


class Readiness(msgspec.Struct, frozen=True, omit_defaults=True):
    """GET /v1/ready of a worker; `progress_url` while loading, `model_loaded` after."""

    ready: bool
    state: WorkerState
    progress_url: str | None = None
    model_loaded: bool = False


class ModelFacts(msgspec.Struct, frozen=True):
    """GET /v1/model of a worker. Sizes in bytes: `size_bytes` on disk, `model_bytes` according to
    llama.cpp. `context_length` is what the model was trained for; `context` is what is in use."""

    file: str
    size_bytes: int
    format: Literal["GGUF"]
    loader: Literal["llama.cpp"]
    architecture: str
    quantization: str | None
    layers: int
    context_length: int
    context: int
    vocabulary_size: int
    eos_token_id: int | None
    model_bytes: int


class PromptReply(msgspec.Struct, frozen=True):
    """POST /v1/prompt of a worker: how many tokens the model would read before it answers. Above a
    million it may be less than there are."""

    prompt_tokens: int


class WorkerStatus(msgspec.Struct, frozen=True):
    """The `status` event of a worker's /v1/events: what the worker is doing now.

    `keep_alive_s` is what the last request asked for; None if it asked for nothing.
    """

    state: WorkerState
    slots_total: int
    slots_available: int
    keep_alive_s: float | None = None


class WorkerGone(msgspec.Struct, frozen=True):
    """The `worker_gone` event of a hive. `exit_code` is negative for a signal; `log_tail` holds the
    last lines of the worker's log; `error` is the error that the worker reported, if any; `stalled`
    says whether the hive stopped it because loading made no progress."""

    worker_id: str
    reason: str
    exit_code: int | None
    log_tail: list[str]
    error: dict[str, object] | None = None
    stalled: bool = False
