"""From a reference to a file on this node: found, or fetched from the Hub after all is checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from rbee.contract.config import Config
from rbee.contract.errors import DiskFull, NotFound, RequestCanceled
from rbee.contract.events import Download as DownloadNews
from rbee.contract.model_ref import ModelRef, parse
from rbee.contract.models import (
    Deleted,
    DownloadReply,
    DownloadRequest,
    ModelDetails,
    ModelRows,
    Offered,
)
from rbee.contract.workers import SpawnRequest
from rbee.gguf.header import Header, context_length
from rbee.gguf.reading import read
from rbee.hive.hardware.devices import ram
from rbee.hive.hardware.placement import largest_that_fits, required_bytes
from rbee.hive.hardware.preflight import Preflight, Wish
from rbee.hive.models import repository
from rbee.hive.models.download import Download
from rbee.hive.models.downloads import Downloads
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.hub_queries import Asking
from rbee.hive.models.inventory import Models
from rbee.hive.models.on_disk import OnDisk, on_disk, same_repository
from rbee.hive.models.repository import Listing, RemoteModel
from rbee.hive.models.transfer import there_of
from rbee.runtime.narration import Narrator

_PROVISIONER = "model-provisioner"
_MB = 1_000_000


class Provisioner:
    """What others ask for models."""

    def __init__(
        self, config: Config, models: Models, hub: Hub, preflight: Preflight, narrator: Narrator
    ) -> None:
        self.models = models
        self._config = config
        self._preflight = preflight
        self._say = narrator.say
        self._asking = Asking(hub, narrator.say)
        self._downloads = Downloads(hub, models.folder, models.arrived)

    async def end_all(self) -> None:
        """Stop what runs; partial files stay."""
        await self._downloads.end_all()

    def reference(self, text: str) -> ModelRef:
        """As a person writes it, with this node's aliases."""
        return parse(text, self._config.models.aliases)

    async def download(self, request: DownloadRequest) -> DownloadReply:
        """Find the model here, or begin to fetch it; an other asker's download is joined.

        What can be known before the first byte is checked first. Raises MODEL_NOT_FOUND,
        MODEL_GATED, VRAM_EXHAUSTED, DISK_FULL, DOWNLOAD_FAILED.
        """
        ref = self.reference(request.model)
        here = await self.models.find(ref)
        if here is not None:
            done = self._downloads.done(here.reference, here.path)
            return DownloadReply(done.id, str(here.reference), str(here.path))
        async with self._asking.in_time(ref):
            download = await self._fetch(ref, request)
        return DownloadReply(download.id, str(download.reference), None)

    async def provide(self, wanted: SpawnRequest) -> OnDisk:
        """The model on this node, fetched and waited for where need be."""
        ref = self.reference(wanted.model)
        here = await self.models.find(ref)
        if here is None:
            request = DownloadRequest(
                wanted.model,
                to_run=True,
                backend=wanted.backend,
                device=wanted.device,
                force=wanted.force,
            )
            async with self._asking.in_time(ref):
                download = await self._fetch(ref, request)
            async for _ in download.watch():
                pass
            here = await self.models.find(download.reference)
            if here is None:
                raise RequestCanceled(f"{ref} was taken away as soon as it was there.")
        return here

    def progress(self, download_id: str) -> AsyncIterator[DownloadNews | None]:
        """The progress of a download. Raises INVALID_REQUEST (404) for an unknown id."""
        found = self._downloads.find(download_id)
        if found is None:
            told = f"This hive knows no download {download_id!r}"
            raise NotFound.of("id", "a download of this hive", told, download_id)
        return found.watch()

    async def listing(self) -> ModelRows:
        return await self.models.listing(self._downloads.sizes())

    async def delete(self, text: str, holding: Callable[[Path], list[str]]) -> Deleted:
        """Delete a model, and end its download. `holding` names the workers that have a file."""
        ref = self.reference(text)
        path = await self.models.path_of(ref)
        running = self._downloads.of(path)
        if running is not None:
            running.end(RequestCanceled(f"{running.reference} is being deleted."))
            await running.ended()
        return await self.models.delete(path, holding)

    async def info(self, text: str) -> ModelDetails:
        """What is known of a model, which need not be here. Raises what `download` raises."""
        ref = self.reference(text)
        here = await self.models.find(ref)
        if here is not None:
            header = await asyncio.to_thread(read, here.path)
            sums = here.row.sha256 if here.row else None
            return self._details(str(here.reference), header, header.size_bytes, sums, here.path)
        async with self._asking.in_time(ref):
            listing, model = await self._asking.model(ref)
            header = await self._asking.header(model)
        sums = ",".join(file.sha256 or "unknown" for file in model.files)
        details = self._details(str(model.reference), header, model.size_bytes, sums, None)
        return msgspec.structs.replace(details, offered=self._offered(listing, ref, header))

    async def _fetch(self, ref: ModelRef, request: DownloadRequest) -> Download:
        listing, model = await self._asking.model(ref)
        path = self.models.folder.target(model.reference, model.files[0].path)
        quantization = None
        if self._downloads.of(path) is None:
            header = await self._asking.header(model)
            quantization = header.quantization
            await self._check_memory(listing, model, header, request)
            await self._check_disk(model, path)
            size = round(model.size_bytes / _MB)
            told = f"model provisioning: fetching {model.reference} ({size} MB)"
            self._say(_PROVISIONER, "⬇️", told)
        else:
            told = f"model provisioning: {model.reference} is being fetched already"
            self._say(_PROVISIONER, "⬇️", told)
        return self._downloads.begin(model, request.detach, quantization)

    async def smaller(self, model: OnDisk, kv: int, free: int) -> str | None:
        """The largest model of the same repository that fits into `free` bytes, as far as that is
        known without asking the Hub: what is here, and what its last listing had."""
        ref = model.reference
        if ref.scheme != "hf":
            return None
        there = [on_disk(row) for row in await self.models.rows()]
        sizes = {
            str(other.reference): other.row.size_bytes
            for other in there
            if other.row is not None and same_repository(other.reference, ref)
        }
        if (listing := self._asking.known(ref)) is not None:
            offered = repository.models(listing, ref)
            sizes |= {str(other.reference): other.size_bytes for other in offered}
        return largest_that_fits(sizes, kv, free)

    async def _check_memory(
        self, listing: Listing, model: RemoteModel, header: Header, request: DownloadRequest
    ) -> None:
        """What would run must fit into what is free; what is only fetched, into what there is."""
        kv = self._kv_bytes(header)
        others = repository.models(listing, model.reference)
        sizes = {str(other.reference): other.size_bytes for other in others}
        wish = Wish(request.backend, request.device, request.force)
        await self._preflight.check_download(
            wish if request.to_run else None,
            required_bytes(model.size_bytes, kv),
            lambda room: largest_that_fits(sizes, kv, room),
        )

    async def _check_disk(self, model: RemoteModel, path: Path) -> None:
        """What is still to come must have room, beside what others still bring."""
        folder = self.models.folder
        await asyncio.to_thread(folder.make)
        missing = await asyncio.to_thread(_missing_bytes, folder, model)
        free = await asyncio.to_thread(folder.free_bytes) - self._downloads.missing_bytes(path)
        if missing > free:
            there = [row for row in await self.models.rows() if folder.holds(row.local_path)]
            there.sort(key=lambda row: -row.size_bytes)
            named = (f"{row.reference} ({round(row.size_bytes / _MB)} MB)" for row in there[:3])
            told = f" The largest there: {', '.join(named)}." if there else ""
            required, available = -(-missing // _MB), max(0, free) // _MB
            raise DiskFull(
                f"{folder.root} has {available} MB free, and {required} MB are needed.{told}",
                required=required,
                available=available,
                path=str(folder.root),
            )

    def _kv_bytes(self, header: Header) -> int:
        asked = self._config.worker.context
        return header.kv_bytes(context_length(asked, header.context_length))

    def _details(
        self, reference: str, header: Header, size: int, sums: str | None, path: Path | None
    ) -> ModelDetails:
        now = ram()
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
            memory_total_bytes=now.memory_total_bytes,
            memory_free_bytes=now.memory_free_bytes,
            offered=[],
        )

    def _offered(self, listing: Listing, ref: ModelRef, header: Header) -> list[Offered]:
        total, kv = ram().memory_total_bytes, self._kv_bytes(header)
        offered = sorted(repository.models(listing, ref), key=lambda model: model.size_bytes)
        return [
            Offered(
                str(model.reference),
                model.quantization,
                model.size_bytes,
                required_bytes(model.size_bytes, kv) <= total,
            )
            for model in offered
        ]


def _missing_bytes(folder: Folder, model: RemoteModel) -> int:
    """What is still to come of a model of which a part may be there."""
    targets = [folder.target(model.reference, file.path) for file in model.files]
    there = sum(there_of(file, target) for file, target in zip(model.files, targets, strict=True))
    return model.size_bytes - there
