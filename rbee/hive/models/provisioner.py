"""From a model reference to a file on this node: found here, or fetched from another node or the
Hub after every check that needs no download."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import msgspec

from rbee.contract import events as ev
from rbee.contract.config import Config
from rbee.contract.errors import (
    DiskFull,
    DownloadFailed,
    ModelGated,
    ModelNotFound,
    NotFound,
    RbeeError,
    RequestCanceled,
)
from rbee.contract.model_ref import ModelRef, parse, shown
from rbee.contract.models import (
    Deleted,
    DownloadReply,
    DownloadRequest,
    FoundRepositories,
    FoundRepository,
    ModelDetails,
    ModelRows,
    ModelSource,
    Offered,
    SearchModels,
)
from rbee.contract.workers import SpawnRequest
from rbee.gguf.header import Header
from rbee.gguf.memory import kv_bytes, required_bytes
from rbee.gguf.reader import read
from rbee.hive.hardware.devices import ram
from rbee.hive.hardware.placement import largest_that_fits
from rbee.hive.hardware.preflight import DeviceRequest, Preflight
from rbee.hive.models import offers, repository
from rbee.hive.models.downloads import Download, Downloads
from rbee.hive.models.folder import bytes_on_disk
from rbee.hive.models.hub import Hub
from rbee.hive.models.hub_errors import TransientError
from rbee.hive.models.hub_queries import HubQueries
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.node_source import NodeSource
from rbee.hive.models.repository import Listing, RemoteModel
from rbee.hive.models.stored_models import StoredModel, of_row, same_repository
from rbee.runtime.concurrency import go_on, in_thread
from rbee.runtime.narration import Narrator

_PROVISIONER = "model-provisioner"
_MB = 1_000_000
# At the Hub's listing, if a node has the model: one lost packet must not be taken for no Hub.
_ATTEMPTS_BESIDE_NODES = 2


class Provisioner:
    """Answers every request that concerns models."""

    def __init__(
        self,
        config: Config,
        inventory: Inventory,
        hub: Hub,
        preflight: Preflight,
        narrator: Narrator,
    ) -> None:
        self.inventory = inventory
        self._config = config
        self._preflight = preflight
        self._say = narrator.say
        self._hub_queries = HubQueries(hub, narrator.say)
        self.downloads = Downloads(
            hub, inventory.folder, inventory.add_downloaded, say=narrator.say
        )

    async def end_all(self) -> None:
        """Stop the downloads; partial files stay."""
        await self.downloads.end_all()

    def reference(self, text: str) -> ModelRef:
        """Parse a reference as a person writes it, with this node's aliases."""
        return parse(text, self._config.models.aliases)

    async def download(self, request: DownloadRequest) -> DownloadReply:
        """Find the model here, or begin to fetch it; a download that runs already is shared.

        What can be known before the first byte is checked first. Raises MODEL_NOT_FOUND,
        MODEL_GATED, VRAM_EXHAUSTED, DISK_FULL, DOWNLOAD_FAILED.
        """
        ref = self.reference(request.model)
        stored = await self.inventory.find(ref)
        if stored is not None:
            done = self.downloads.done(stored.reference, stored.path)
            return DownloadReply(done.id, str(stored.reference), str(stored.path))
        download = await self._fetch(ref, request)
        return DownloadReply(download.id, str(download.reference), None)

    async def provide(self, wanted: SpawnRequest) -> StoredModel:
        """The model on this node; if it is not here, it is fetched and waited for."""
        ref = self.reference(wanted.model)
        stored = await self.inventory.find(ref)
        if stored is None:
            request = DownloadRequest(
                wanted.model,
                to_run=True,
                backend=wanted.backend,
                device=wanted.device,
                force=wanted.force,
            )
            download = await self._fetch(ref, request)
            async for _ in download.watch():
                pass
            stored = await self.inventory.find(download.reference)
            if stored is None:
                raise RequestCanceled(f"{ref} was removed as soon as it was there.")
        return stored

    def progress(self, download_id: str) -> AsyncIterator[ev.Download | None]:
        """The progress of a download. Raises INVALID_REQUEST (404) for an unknown id."""
        found = self.downloads.find(download_id)
        if found is None:
            message = f"This hive knows no download {download_id!r}"
            raise NotFound.of("id", "a download of this hive", message, download_id)
        return found.watch()

    async def path(self, text: str) -> Path:
        """The file of a model on this node. Raises MODEL_NOT_FOUND if it is not here."""
        ref = self.reference(text)
        stored = await self.inventory.find(ref)
        if stored is None:
            raise ModelNotFound(f"{ref} is not on this node.", model=str(ref), near=[])
        return stored.path

    async def listing(self) -> ModelRows:
        return await self.inventory.listing(self.downloads.sizes())

    async def delete(self, text: str, holding: Callable[[Path], list[str]]) -> Deleted:
        """Delete a model, and end its download. `holding` names the workers that have a file."""
        path = await self.inventory.deletable_path(self.reference(text))
        running = self.downloads.of(path)
        if running is not None:
            running.end(RequestCanceled(f"{running.reference} is being deleted."))
            await running.ended()
        return await self.inventory.delete(path, holding)

    async def required_bytes(self, path: Path) -> int:
        """The memory that a model here needs, with the KV cache of the configured context. Raises
        what `rbee.gguf.reader.read` raises."""
        header = await in_thread(read, path, go_on)
        return required_bytes(header.size_bytes, self._kv_bytes(header))

    async def info(self, text: str) -> ModelDetails:
        """What is known of a model, which need not be here. Raises what `download` raises."""
        ref = self.reference(text)
        stored = await self.inventory.find(ref)
        if stored is not None:
            header = await in_thread(read, stored.path, go_on)
            sums = stored.row.sha256 if stored.row else None
            reference = str(stored.reference)
            return self._details(reference, header, header.size_bytes, sums, stored.path)
        async with self._hub_queries.deadline(ref):
            listing, model = await self._hub_queries.model(ref)
            header = await self._hub_queries.header(model)
        sums = ",".join(file.sha256 or "unknown" for file in model.files)
        details = self._details(str(model.reference), header, model.size_bytes, sums, None)
        offered = _offers(listing, ref, ram().memory_total_bytes, self._kv_bytes(header))
        return msgspec.structs.replace(details, offered=offered)

    async def search(self, wanted: SearchModels) -> FoundRepositories:
        """What the Hub finds, and which of it fits into this machine's memory. Raises
        DOWNLOAD_FAILED."""
        total = ram().memory_total_bytes
        found = await self._hub_queries.search(wanted.words, wanted.limit)
        return FoundRepositories(
            [
                FoundRepository(
                    match.id,
                    match.downloads,
                    bool(match.gated),
                    None
                    if listing is None
                    else _offers(listing, ModelRef("hf", match.id), total, 0),
                )
                for match, listing in found
            ]
        )

    async def largest_fitting(self, model: StoredModel, kv: int, free: int) -> str | None:
        """The largest model of the same repository that fits into `free` bytes, as far as that is
        known without asking the Hub: from the models here and the repository's last listing."""
        ref = model.reference
        if ref.scheme != "hf":
            return None
        stored = [of_row(row) for row in await self.inventory.rows()]
        sizes = {
            str(other.reference): other.row.size_bytes
            for other in stored
            if other.row is not None and same_repository(other.reference, ref)
        }
        if (listing := self._hub_queries.last_listing(ref)) is not None:
            offered = repository.models(listing, ref)
            sizes |= _sizes(offered)
        return largest_that_fits(sizes, kv, free)

    async def _fetch(self, ref: ModelRef, request: DownloadRequest) -> Download:
        """Begin the download, or share the one that runs."""
        async with self._hub_queries.deadline(ref):
            listing, model, nodes = await self._find(ref, request.sources)
            path = self.inventory.folder.target(model.reference, model.files[0].path)
            quantization = None
            if self.downloads.of(path) is None:
                header = await self._header(model, nodes)
                quantization = header.quantization
                await self._check_memory(listing, model, header, request)
                await self._check_disk(model, path)
                size = round(model.size_bytes / _MB)
                where = f" from the node {nodes[0].node}" if nodes else ""
                text = f"model provisioning: fetching {model.reference.shown} ({size} MB){where}"
            else:
                text = f"model provisioning: {model.reference.shown} is already being downloaded"
            self._say(_PROVISIONER, "⬇️", text)
            return self.downloads.begin(model, request.detach, quantization, nodes)

    async def _find(
        self, ref: ModelRef, sources: list[ModelSource]
    ) -> tuple[Listing, RemoteModel, list[NodeSource]]:
        """The model that `ref` means, and the nodes that have the very same. The Hub says what it
        is; if it can't be asked, the first node that offers it does. Raises what the Hub raises."""
        if not sources:
            return *await self._hub_queries.model(ref), []
        try:
            listing, model = await self._hub_queries.model(ref, _ATTEMPTS_BESIDE_NODES)
        except (DownloadFailed, ModelGated, ModelNotFound) as error:
            trusted = offers.first(sources, ref)
            if trusted is None:
                return *await self._hub_queries.model(ref), []
            listing, model = Listing(trusted.commit, trusted.files), trusted
            reason = error.details.get("reason", error.code)
            text = f"the Hub does not list {ref} ({reason}): the sha256 of another node is trusted"
            self._say(_PROVISIONER, "🤝", f"model provisioning: {text}")
        same = offers.agreeing(model, sources, ref)
        if same:
            model = offers.with_hashes(model, same[0], ref)
        stall_s = self._config.models.download_stall_s
        return listing, model, [NodeSource(source, stall_s) for source in same]

    async def _header(self, model: RemoteModel, nodes: list[NodeSource]) -> Header:
        """The model's header, from the first node that sends it, else from the Hub. Those that do
        not are taken out of `nodes`."""
        while nodes:
            try:
                return await self._hub_queries.header(model, nodes[0])
            except (TransientError, RbeeError) as error:
                node = nodes.pop(0).node
                reason = error.reason if isinstance(error, TransientError) else error.code
                text = f"the node {node} does not send {model.reference.shown} ({reason})"
                self._say(_PROVISIONER, "↪️", f"model provisioning: {text}")
        return await self._hub_queries.header(model)

    async def _check_memory(
        self, listing: Listing, model: RemoteModel, header: Header, request: DownloadRequest
    ) -> None:
        """A model to run must fit into the memory that is free, another one into all there is."""
        if request.force:
            return
        kv = self._kv_bytes(header)
        others = repository.models(listing, model.reference)
        sizes = {**_sizes(others), str(model.reference): model.size_bytes}
        on = DeviceRequest(request.backend, request.device, request.force)
        await self._preflight.check_download(
            on if request.to_run else None,
            required_bytes(model.size_bytes, kv),
            lambda available: largest_that_fits(sizes, kv, available),
        )

    async def _check_disk(self, model: RemoteModel, path: Path) -> None:
        """The disk must hold what is still to come, besides what other downloads still bring."""
        folder = self.inventory.folder
        await in_thread(folder.make)
        missing = await in_thread(self._missing_bytes, model)
        free = await in_thread(folder.free_bytes) - self.downloads.missing_bytes(path)
        if missing > free:
            stored = [row for row in await self.inventory.rows() if folder.holds(row.local_path)]
            stored.sort(key=lambda row: -row.size_bytes)
            named = (
                f"{shown(row.reference)} ({round(row.size_bytes / _MB)} MB)" for row in stored[:3]
            )
            largest = f" The largest models there: {', '.join(named)}." if stored else ""
            required, available = -(-missing // _MB), max(0, free) // _MB
            raise DiskFull(
                f"{folder.root} has {available} MB free, and {required} MB are needed.{largest}",
                required=required,
                available=available,
                path=str(folder.root),
            )

    def _missing_bytes(self, model: RemoteModel) -> int:
        """What is still to come of a model, part of which may be here."""
        folder = self.inventory.folder
        return model.size_bytes - sum(
            bytes_on_disk(file, folder.target(model.reference, file.path)) for file in model.files
        )

    def _kv_bytes(self, header: Header) -> int:
        return kv_bytes(header, self._config.worker.context)

    def _details(
        self, reference: str, header: Header, size: int, sums: str | None, path: Path | None
    ) -> ModelDetails:
        memory = ram()
        return ModelDetails(
            reference=reference,
            state="ready" if path is not None else "not on this node",
            size_bytes=size,
            local_path=str(path) if path is not None else None,
            sha256=sums,
            architecture=header.architecture,
            quantization=header.quantization,
            layers=header.layers,
            context_length=header.context_length,
            vocabulary_size=header.vocabulary_size,
            required_bytes=required_bytes(size, self._kv_bytes(header)),
            memory_total_bytes=memory.memory_total_bytes,
            memory_free_bytes=memory.memory_free_bytes,
            offered=[],
        )


def _offers(listing: Listing, ref: ModelRef, total: int, kv: int) -> list[Offered]:
    """The models of a repository, from the smallest on. `kv` is the memory of the context."""
    known = [model for model in repository.models(listing, ref) if model.is_measured]
    offered = sorted(known, key=lambda model: model.size_bytes)
    return [
        Offered(
            str(model.reference),
            model.quantization,
            model.size_bytes,
            required_bytes(model.size_bytes, kv) <= total,
        )
        for model in offered
    ]


def _sizes(models: Iterable[RemoteModel]) -> dict[str, int]:
    """Bytes by reference, of the models whose size is known."""
    return {str(model.reference): model.size_bytes for model in models if model.is_measured}
