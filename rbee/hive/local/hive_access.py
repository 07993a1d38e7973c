"""This machine's hive and models: the hive that runs is asked, otherwise the models are managed
directly. Both have the same effect, since whatever changes files holds their locks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.daemons import PidFile
from rbee.contract.errors import InvalidApiKey, RbeeError
from rbee.contract.events import Download, Event
from rbee.contract.models import (
    Deleted,
    DownloadRequest,
    ModelDetails,
    ModelName,
    ModelRows,
)
from rbee.contract.registry import LOCAL, HiveStatus
from rbee.hive.hardware.devices import Hardware
from rbee.hive.hardware.preflight import Preflight
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.models.verification import verify
from rbee.hive.workers.worker_program import worker_command
from rbee.runtime import api_key, paths, pid_file
from rbee.runtime.client import Client
from rbee.runtime.narration import Narrator
from rbee.runtime.plain_transport import PlainTransport


def running_hive() -> PidFile | None:
    """The hive that wrote the pid file, if it still runs. Its start time shows whether another
    program has its pid by now."""
    return pid_file.read(paths.pid_file("hive-rbee"))


@contextlib.asynccontextmanager
async def connect(config: Config, hive: PidFile) -> AsyncIterator[Client]:
    """A client with this machine's key, which a hive that belongs to another machine's queen does
    not accept."""
    times = config.times
    key = api_key.load(config.auth.api_key_file)
    transport = PlainTransport()
    async with Client(hive.url, key, times.connect_s, times.stream_silence_s, transport) as client:
        yield client


async def status_of(config: Config, hive: PidFile | None) -> HiveStatus:
    """The state that the hive itself reports. Raises nothing, whatever it answers."""
    if hive is None:
        return HiveStatus(node=LOCAL, state="stopped")
    found = HiveStatus(node=LOCAL, state="running", url=hive.url)
    async with connect(config, hive) as client:
        try:
            health = await client.call(ep.HIVE_HEALTH)
            node = await client.call(ep.HIVE_NODE)
            rows = await client.call(ep.HIVE_WORKERS)
        except InvalidApiKey:
            reason = "it belongs to another machine's queen and does not accept this machine's key"
            return msgspec.structs.replace(found, error=reason)
        except RbeeError as error:
            return msgspec.structs.replace(found, state="unreachable", error=error.message)
    return HiveStatus.of(LOCAL, hive.url, health.version, node, rows.workers, ours=False)


class ModelAccess(Protocol):
    """What can be done with this machine's models."""

    async def listing(self) -> ModelRows: ...
    def download(self, model: str) -> AsyncIterator[Event | None]: ...
    async def info(self, model: str) -> ModelDetails: ...
    def verify(self, model: str) -> AsyncIterator[Event | None]: ...
    async def delete(self, model: str) -> Deleted: ...


@contextlib.asynccontextmanager
async def open_models(config: Config, narrator: Narrator) -> AsyncIterator[ModelAccess]:
    """Through the hive that runs here, if it answers; otherwise directly."""
    refusal: RbeeError | None = None
    hive = running_hive()
    if hive is not None:
        async with connect(config, hive) as client:
            try:
                await client.call(ep.HIVE_HEALTH, within_s=config.times.connect_s)
            except RbeeError as error:
                refusal = error
            else:
                yield ThroughHive(client)
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


class ThroughHive:
    """Over the HTTP of the hive that runs here."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def listing(self) -> ModelRows:
        return await self._client.call(ep.HIVE_MODELS, within_s=180)

    async def download(self, model: str) -> AsyncIterator[Event | None]:
        reply = await self._client.call(ep.HIVE_DOWNLOAD, DownloadRequest(model))
        if reply.local_path is not None:
            yield Download("complete", local_path=reply.local_path)
            return
        async with self._client.stream(ep.HIVE_DOWNLOAD_PROGRESS, id=reply.download_id) as events:
            async for event in events:
                yield event

    async def info(self, model: str) -> ModelDetails:
        return await self._client.call(ep.HIVE_MODEL_INFO, ModelName(model))

    async def verify(self, model: str) -> AsyncIterator[Event | None]:
        async with self._client.stream(ep.HIVE_MODEL_VERIFY, ModelName(model)) as events:
            async for event in events:
                yield event

    async def delete(self, model: str) -> Deleted:
        return await self._client.call(ep.HIVE_MODEL_DELETE, ModelName(model))


class Direct:
    """With the parts of a hive, on its folder and catalog. `refusal` is why a hive that runs can't
    be asked: then nobody knows what its workers hold, and nothing is deleted."""

    def __init__(self, provisioner: Provisioner, refusal: RbeeError | None) -> None:
        self._provisioner = provisioner
        self._refusal = refusal

    async def listing(self) -> ModelRows:
        """Without its notes, which were narrated already."""
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
