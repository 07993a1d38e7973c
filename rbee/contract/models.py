"""Messages about models: what is on a node, how it comes there, and whether it is whole."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rbee.contract.workers import BackendName, DeviceIndex

Reference = Annotated[str, Meta(min_length=1, max_length=4096)]
Node = Annotated[str, Meta(min_length=1, max_length=255)]

Provider = Literal["hf", "file", "bundled"]
ModelState = Literal["ready", "damaged", "downloading", "partial"]


class ModelName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: Reference


class DownloadRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`detach`: go on though nobody watches. `to_run`: it is to be loaded as soon as it is there,
    so it must fit into the memory that is free now, on that backend and device, and not only into
    all that the node has; but with `force` it need not."""

    model: Reference
    detach: bool = False
    to_run: bool = False
    backend: BackendName | None = None
    device: DeviceIndex | None = None
    force: bool = False


class DownloadReply(msgspec.Struct, frozen=True):
    """`local_path` is set where nothing has to be fetched; `reference` names the model in the form
    in which the catalog and the workers have it."""

    download_id: str
    reference: str
    local_path: str | None


class Resolved(msgspec.Struct, frozen=True):
    """What the catalog has for a reference, asking nobody; None where it is not on the node."""

    reference: str | None


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model and quantization on a node.

    `local_path` is its file, the first one of a split model, whose `files` are counted and whose
    `sha256` are joined by commas in their order; None while nobody has hashed it. A `partial` one
    has no id: it lies there to be gone on with. A `damaged` one has another size than it came with.
    Bytes, and seconds since the epoch.
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
    """GET /v1/models. `folder` is the models folder, on the disk that is meant; `notes` are what
    has happened to the catalog since the last listing, for a person."""

    models: list[ModelRow]
    folder: str
    disk_total_bytes: int
    disk_free_bytes: int
    notes: list[str] = []


class Offered(msgspec.Struct, frozen=True):
    """A quantization of a repository; `fits`: into all the memory that the node has."""

    reference: str
    quantization: str | None
    size_bytes: int
    fits: bool


class ModelDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model, on disk or not: from its header, the catalog, and the Hub.

    `required_bytes` is what the memory rule asks for, with the cache of the configured context;
    `offered` what else its repository has, where the Hub had to be asked anyway.
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


class Deleted(msgspec.Struct, frozen=True):
    message: str
    freed_bytes: int


class NodeModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model on a node, as the queen is asked for it; without a node, this machine's."""

    model: Reference
    node: Node | None = None


class NodeDownload(NodeModel, frozen=True, forbid_unknown_fields=True):
    detach: bool = False


class NodeModelRow(ModelRow, frozen=True, kw_only=True):
    node: str


class Disk(msgspec.Struct, frozen=True):
    """The disk on which a node keeps its models."""

    node: str
    folder: str
    disk_total_bytes: int
    disk_free_bytes: int


class NodeModelRows(msgspec.Struct, frozen=True):
    """GET /v2/models."""

    models: list[NodeModelRow]
    disks: list[Disk]
    notes: list[str] = []
