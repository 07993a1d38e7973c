"""Messages about models: what is on a node, how it gets there, and whether it is intact."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rbee.contract.workers import BackendName, DeviceIndex

Reference = Annotated[str, Meta(min_length=1, max_length=4096)]
Node = Annotated[str, Meta(min_length=1, max_length=255)]

HiveUrl = Annotated[str, Meta(pattern=r"^[Hh][Tt][Tt][Pp]://[\x21-\x7e]{1,4096}\Z")]

Provider = Literal["hf", "file", "bundled"]
ModelState = Literal["ready", "damaged", "downloading", "partial"]
Capability = Literal["completion", "tools", "thinking", "embedding"]


class ModelName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: Reference


class SharedFile(msgspec.Struct, frozen=True):
    """One file of a shared model, by its name without a folder."""

    name: Annotated[str, Meta(pattern=r"^[^/\x00-\x1f\x7f]{1,255}\Z")]
    size_bytes: Annotated[int, Meta(ge=0, le=1 << 50)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class SharedModel(msgspec.Struct, frozen=True):
    """POST /v1/models/share. The `ticket` is the key with which another hive fetches the `files`,
    and nothing else, for `expires_in_s` seconds. The sizes and hashes are those of the catalog."""

    reference: Reference
    files: Annotated[list[SharedFile], Meta(min_length=1, max_length=4096)]
    ticket: Annotated[str, Meta(pattern=r"^[\x21-\x7e]{24,200}\Z")]
    expires_in_s: float


class ModelSource(msgspec.Struct, frozen=True):
    """A node that shares the model, and the URL of its hive as the downloading hive reaches it.
    `far` is the URL at the far end, if that one leads through a tunnel."""

    node: Node
    url: HiveUrl
    far: HiveUrl | None
    shared: SharedModel


class DownloadRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`detach`: continue even if nobody is watching. `to_run`: the model is loaded right after the
    download, so it must fit into the memory that is free now on that backend and device, not only
    into the node's total memory. `force` skips this check. `sources` are tried before the Hub."""

    model: Reference
    detach: bool = False
    to_run: bool = False
    backend: BackendName | None = None
    device: DeviceIndex | None = None
    force: bool = False
    sources: Annotated[list[ModelSource], Meta(max_length=16)] = []


class DownloadReply(msgspec.Struct, frozen=True):
    """`local_path` is set if nothing has to be downloaded; `reference` names the model in the form
    that the catalog and the workers use."""

    download_id: str
    reference: str
    local_path: str | None


class Resolved(msgspec.Struct, frozen=True):
    """The model in the catalog that a reference means; None if it is not on the node."""

    reference: str | None


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model and quantization on a node.

    `local_path` is its file. For a split model it is the first file; `files` is their number, and
    `sha256` has their hashes in order, joined by commas (None until they are hashed). A `partial`
    model has no id: its download can be resumed. The size of a `damaged` model has changed since it
    was downloaded. Sizes in bytes, times in seconds since the epoch.
    """

    id: int | None
    provider: Provider
    reference: str
    local_path: str
    size_bytes: int
    downloaded_at_unix: int | None
    quantization: str | None
    sha256: str | None
    files: int = 1
    state: ModelState = "ready"
    bytes_downloaded: int = 0


class ModelRows(msgspec.Struct, frozen=True):
    """GET /v1/models. `folder` is the models folder; the disk figures are those of its disk.
    `notes` say, for a person, what has happened to the catalog since the last listing."""

    models: list[ModelRow]
    folder: str
    disk_total_bytes: int
    disk_free_bytes: int
    notes: list[str] = []


class Offered(msgspec.Struct, frozen=True):
    """A quantization of a repository; `fits`: it fits into the node's total memory."""

    reference: str
    quantization: str | None
    size_bytes: int
    fits: bool


class ModelDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a model, on disk or not: from its header, the catalog and the Hub.

    `required_bytes` is the memory it needs, including the KV cache of the configured context;
    `offered` lists the repository's quantizations, if the Hub had to be asked anyway.
    """

    reference: str
    state: ModelState | Literal["not on this node"]
    size_bytes: int
    local_path: str | None
    sha256: str | None
    architecture: str
    quantization: str | None
    layers: int
    context_length: int
    vocabulary_size: int
    required_bytes: int
    memory_total_bytes: int
    memory_free_bytes: int
    offered: list[Offered]


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """What the header of a model on a node tells, and its row in the catalog, if it has one.

    `parameters` are the elements of all tensors. `context_length` is what the model was trained
    for, in tokens; `embedding_length` its width. Sizes in bytes, times in seconds since the epoch.
    """

    reference: str
    size_bytes: int
    modified_at_unix: int
    sha256: str | None
    architecture: str
    quantization: str | None
    parameters: int
    context_length: int
    embedding_length: int | None
    capabilities: list[Capability]


class ModelCards(msgspec.Struct, frozen=True):
    """GET /v1/models/cards of a hive. A model whose header can't be read has no card."""

    models: list[ModelCard]


class NodeModelCard(ModelCard, frozen=True, kw_only=True):
    node: str


class ModelMetadata(msgspec.Struct, frozen=True):
    """POST /v1/models/metadata of a hive. `fields` are the scalars of a model's header, and its
    texts of up to a kilobyte; `chat_template` is the model's own, "" if it has none."""

    fields: dict[str, Any]
    chat_template: str


class SearchModels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`words` are looked for in the names of repositories; `limit` is how many of these are
    wanted."""

    words: Annotated[str, Meta(min_length=1, max_length=200)]
    limit: Annotated[int, Meta(ge=1, le=50)] = 10


class FoundRepository(msgspec.Struct, frozen=True):
    """A repository of the Hub with GGUF files. `downloads`: of the last month. `offered` lists its
    models from the smallest on, without the memory of a context; None if the Hub does not list
    them."""

    repository: str
    downloads: int
    gated: bool
    offered: list[Offered] | None


class FoundRepositories(msgspec.Struct, frozen=True):
    """What was found, most downloaded first."""

    repositories: list[FoundRepository]


class Deleted(msgspec.Struct, frozen=True):
    message: str
    freed_bytes: int


class NodeModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model on a node, in a request to the queen; without a node, on this machine."""

    model: Reference
    node: Node | None = None


class NodeSearch(SearchModels, frozen=True, forbid_unknown_fields=True):
    """A search by the hive of a node, whose memory counts; without a node, of this machine."""

    node: Node | None = None


class NodeDownload(NodeModel, frozen=True, forbid_unknown_fields=True):
    """Without a node, to the one on which the queen would run the model; with `explain` it says
    why."""

    detach: bool = False
    explain: bool = False


class NodeModelRow(ModelRow, frozen=True, kw_only=True):
    node: str


class Disk(msgspec.Struct, frozen=True):
    """The disk where a node keeps its models."""

    node: str
    folder: str
    disk_total_bytes: int
    disk_free_bytes: int


class NodeModelRows(msgspec.Struct, frozen=True):
    """GET /v2/models."""

    models: list[NodeModelRow]
    disks: list[Disk]
    notes: list[str] = []
