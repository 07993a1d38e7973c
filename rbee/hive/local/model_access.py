"""The models of this machine, for who is on it: asked of the hive that runs, else looked after
directly. Both come to the same, since what changes files holds their locks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import RbeeError
from rbee.contract.events import Download, Event
from rbee.contract.models import (
    Deleted,
    DownloadRequest,
    ModelDetails,
    ModelName,
    ModelRows,
)
from rbee.hive.hardware.devices import Hardware
from rbee.hive.hardware.preflight import Preflight
from rbee.hive.local import running_hive as status
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.models.verification import verify
from rbee.hive.workers.registry import worker_command
from rbee.runtime import paths
from rbee.runtime.client import Client
from rbee.runtime.narration import Narrator

# The Hub may be asked six times, and a large model be removed from a slow disk.
_WITHIN_S = 200.0


class Here(Protocol):
    """What can be done with this machine's models."""

    async def listing(self) -> ModelRows: ...
    def download(self, model: str) -> AsyncIterator[Event | None]: ...
    async def info(self, model: str) -> ModelDetails: ...
    def verify(self, model: str) -> AsyncIterator[Event | None]: ...
    async def delete(self, model: str) -> Deleted: ...


@contextlib.asynccontextmanager
async def reach(config: Config, narrator: Narrator) -> AsyncIterator[Here]:
    """The hive that runs here, where it answers, else what it would use."""
    refusal: RbeeError | None = None
    hive = status.running()
    if hive is not None:
        async with status.client(config, hive) as client:
            try:
                await client.call(ep.HIVE_HEALTH, within_s=config.times.connect_s)
            except RbeeError as error:
                refusal = error
            else:
                yield Served(client)
                return
    inventory = Inventory(
        paths.catalog_db(config.paths.catalog_db),
        Folder(paths.models_dir(config.models.dir)),
        narrator,
    )
    preflight = Preflight(Hardware(worker_command(config)), narrator.say)
    hub = Hub(config.models.download_stall_s)
    provisioner = Provisioner(config, inventory, hub, preflight, narrator)
    try:
        yield Direct(provisioner, refusal)
    finally:
        await provisioner.end_all()
        await inventory.close()


class Served:
    """Through the hive's HTTP."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def listing(self) -> ModelRows:
        return await self._client.call(ep.HIVE_MODELS, within_s=_WITHIN_S)

    async def download(self, model: str) -> AsyncIterator[Event | None]:
        asked = DownloadRequest(model)
        reply = await self._client.call(ep.HIVE_DOWNLOAD, asked, within_s=_WITHIN_S)
        if reply.local_path is not None:
            yield Download("complete", local_path=reply.local_path)
            return
        async with self._client.stream(ep.HIVE_DOWNLOAD_PROGRESS, id=reply.download_id) as events:
            async for event in events:
                yield event

    async def info(self, model: str) -> ModelDetails:
        return await self._client.call(ep.HIVE_MODEL_INFO, ModelName(model), within_s=_WITHIN_S)

    async def verify(self, model: str) -> AsyncIterator[Event | None]:
        async with self._client.stream(ep.HIVE_MODEL_VERIFY, ModelName(model)) as events:
            async for event in events:
                yield event

    async def delete(self, model: str) -> Deleted:
        return await self._client.call(ep.HIVE_MODEL_DELETE, ModelName(model), within_s=_WITHIN_S)


class Direct:
    """With the hive's own services, on folder and catalog. `refusal` is why a hive that runs can't
    be asked: then nobody knows what its workers hold, and nothing is deleted."""

    def __init__(self, provisioner: Provisioner, refusal: RbeeError | None) -> None:
        self._provisioner = provisioner
        self._refusal = refusal

    async def listing(self) -> ModelRows:
        """Without its notes: they have been told as they came."""
        return msgspec.structs.replace(await self._provisioner.listing(), notes=[])

    async def download(self, model: str) -> AsyncIterator[Event | None]:
        reply = await self._provisioner.download(DownloadRequest(model))
        async for event in self._provisioner.progress(reply.download_id):
            yield event

    async def info(self, model: str) -> ModelDetails:
        return await self._provisioner.info(model)

    def verify(self, model: str) -> AsyncIterator[Event | None]:
        return verify(self._provisioner.inventory, self._provisioner.reference(model))

    async def delete(self, model: str) -> Deleted:
        if self._refusal is not None:
            raise self._refusal
        return await self._provisioner.delete(model, lambda _: [])
