"""The hive's HTTP: decode, call, encode."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import get_args

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.daemons import Ack
from rbee.contract.events import Event, Narration, Snapshot
from rbee.contract.logs import LogQuery
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
    Resolved,
    SearchModels,
    SharedModel,
)
from rbee.contract.nodes import HiveHealth, NodeInfo
from rbee.contract.workers import (
    EndWorker,
    LoadedModels,
    ReadyCallback,
    SpawnReply,
    SpawnRequest,
    StandbyRows,
    WorkerRows,
    WorkerState,
)
from rbee.hive.facts import Facts
from rbee.hive.hardware.devices import Hardware, disk_free_bytes
from rbee.hive.logs import log_stream
from rbee.hive.logs.log_stream import RecentLog
from rbee.hive.models.cards import Cards
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.models.shared_models import SharedModels
from rbee.hive.models.verification import verify
from rbee.hive.workers.registry import Workers
from rbee.hive.workers.standby import Standby
from rbee.runtime import gauges, server
from rbee.runtime.event_queue import EventQueue, run_as_stream
from rbee.runtime.file_response import FileResponse
from rbee.runtime.journal import Journal
from rbee.runtime.keyring import caller
from rbee.runtime.light_aiohttp import web
from rbee.runtime.log import correlation_id
from rbee.runtime.sse import LAST_EVENT_HEADER, Numbered

WORKERS: web.AppKey[Workers] = web.AppKey("workers", Workers)
STANDBY: web.AppKey[Standby] = web.AppKey("standby", Standby)
CARDS: web.AppKey[Cards] = web.AppKey("cards", Cards)
PROVISIONER: web.AppKey[Provisioner] = web.AppKey("provisioner", Provisioner)
SHARED: web.AppKey[SharedModels] = web.AppKey("shared", SharedModels)
HARDWARE: web.AppKey[Hardware] = web.AppKey("hardware", Hardware)
FACTS: web.AppKey[Facts] = web.AppKey("facts", Facts)
RECENT_LOG: web.AppKey[RecentLog] = web.AppKey("recent_log", RecentLog)
EVENTS: web.AppKey[Journal] = web.AppKey("events", Journal)

# Asking llama.cpp takes a second, and a listing of nodes asks every one of them.
_MEMORY_OLD_S = 10.0


def add(app: web.Application) -> None:
    """Add every route of the hive."""
    server.answer(app, ep.HIVE_HEALTH, _health)
    server.answer(app, ep.HIVE_NODE, _node)
    server.answer(app, ep.HIVE_WORKERS, _workers)
    server.answer(app, ep.HIVE_STANDBY, _standby)
    server.answer(app, ep.HIVE_LOADED, _loaded)
    server.answer_or_stream(app, ep.HIVE_SPAWN, _spawn, _spawn_stream)
    server.answer(app, ep.HIVE_READY, _ready)
    server.answer(app, ep.HIVE_WORKER_SHUTDOWN, _end_worker)
    server.answer(app, ep.HIVE_MODELS, _models)
    server.answer(app, ep.HIVE_MODEL_CARDS, _cards)
    server.answer(app, ep.HIVE_MODEL_METADATA, _metadata)
    server.answer(app, ep.HIVE_RESOLVE, _resolve)
    server.answer_or_stream(app, ep.HIVE_DOWNLOAD, _download, _download_stream)
    server.stream(app, ep.HIVE_DOWNLOAD_PROGRESS, _progress)
    server.answer(app, ep.HIVE_MODEL_INFO, _info)
    server.answer(app, ep.HIVE_MODEL_SEARCH, _search)
    server.answer(app, ep.HIVE_MODEL_SHARE, _share)
    server.raw(app, ep.HIVE_MODEL_FILE, _model_file)
    server.stream(app, ep.HIVE_MODEL_VERIFY, _verify)
    server.answer(app, ep.HIVE_MODEL_DELETE, _delete)
    server.stream(app, ep.HIVE_LOGS, _logs)
    server.stream(app, ep.HIVE_EVENTS, _events)
    server.text(app, ep.METRICS, _metrics)
    server.accept_shutdown(app)


async def _health(_: web.Request, __: ep.Nothing) -> HiveHealth:
    return HiveHealth("alive", __version__, "v1")


async def _node(request: web.Request, _: ep.Nothing) -> NodeInfo:
    lifecycle = request.app[server.LIFECYCLE]
    hardware = request.app[HARDWARE]
    usable = await hardware.usable()
    memory = await hardware.memory(_MEMORY_OLD_S)
    return NodeInfo(
        backends=usable.backends,
        devices=usable.devices,
        memory=memory,
        ram_total_bytes=memory[-1].memory_total_bytes,
        ram_free_bytes=memory[-1].memory_free_bytes,
        disk_free_bytes=disk_free_bytes(),
        state=lifecycle.state,
        owner=lifecycle.hello.owner if lifecycle.hello else None,
        time_unix=time.time(),
    )


async def _workers(request: web.Request, _: ep.Nothing) -> WorkerRows:
    return WorkerRows(request.app[WORKERS].rows())


async def _standby(request: web.Request, _: ep.Nothing) -> StandbyRows:
    return StandbyRows(request.app[STANDBY].rows())


async def _loaded(request: web.Request, _: ep.Nothing) -> LoadedModels:
    return LoadedModels(request.app[WORKERS].loaded())


async def _metrics(request: web.Request) -> str:
    counted = Counter(row.state for row in request.app[WORKERS].rows())
    states = [
        gauges.Gauge("rbee_workers", "Workers by state.", counted[state], {"state": state})
        for state in get_args(WorkerState)
    ]
    return gauges.text([*states, gauges.memory()])


async def _spawn(request: web.Request, message: SpawnRequest) -> SpawnReply:
    return await request.app[WORKERS].spawn(message)


def _spawn_stream(request: web.Request, message: SpawnRequest) -> AsyncIterator[Event | None]:
    """The start as it is narrated, the worker's row once it is registered, its load, and in the
    end the row of a worker that is ready, or how it ended."""

    async def work(events: EventQueue) -> None:
        with _narration(request, events):
            worker = await request.app[WORKERS].start(message)
            await worker.watch_load(events.put_nowait, message.end_with_reader)

    return run_as_stream(work)


async def _ready(request: web.Request, message: ReadyCallback) -> Ack:
    request.app[WORKERS].register(message)
    return Ack(f"{message.worker_id} is registered.")


async def _end_worker(request: web.Request, message: EndWorker) -> Ack:
    await request.app[WORKERS].end(message.worker_id, message.only_if_idle)
    if message.only_if_idle:  # somebody waits for its memory
        request.app[FACTS].want(memory_old_s=0.0)
    return Ack(f"{message.worker_id} has ended.")


async def _models(request: web.Request, _: ep.Nothing) -> ModelRows:
    return await request.app[PROVISIONER].listing()


async def _cards(request: web.Request, _: ep.Nothing) -> ModelCards:
    return ModelCards(await request.app[CARDS].cards(request.app[WORKERS].files()))


async def _metadata(request: web.Request, message: ModelName) -> ModelMetadata:
    path = await request.app[PROVISIONER].path(message.model)
    return await request.app[CARDS].metadata(path)


async def _resolve(request: web.Request, message: ModelName) -> Resolved:
    provisioner = request.app[PROVISIONER]
    stored = await provisioner.inventory.find(provisioner.reference(message.model))
    return Resolved(str(stored.reference) if stored is not None else None)


async def _download(request: web.Request, message: DownloadRequest) -> DownloadReply:
    return await request.app[PROVISIONER].download(message)


def _download_stream(request: web.Request, message: DownloadRequest) -> AsyncIterator[Event | None]:
    """What is narrated before the first byte, the progress up to the end, then the reply."""
    provisioner = request.app[PROVISIONER]

    async def work(events: EventQueue) -> None:
        with _narration(request, events):
            reply = await provisioner.download(message)
            if reply.local_path is None and not message.detach:
                async for event in provisioner.progress(reply.download_id):
                    if event is not None:
                        await events.put(event)
            events.put_nowait(reply)

    return run_as_stream(work)


@contextlib.contextmanager
def _narration(request: web.Request, events: EventQueue) -> Iterator[None]:
    """Put what is narrated for this request into its own stream too."""
    own = correlation_id.get()

    def forward(event: Event) -> None:
        if isinstance(event, Narration) and event.correlation_id == own:
            events.put_nowait(event)

    with request.app[EVENTS].forward(forward):
        yield


def _progress(request: web.Request, _: ep.Nothing) -> AsyncIterator[Event | None]:
    return request.app[PROVISIONER].progress(request.query.get("id", ""))


async def _info(request: web.Request, message: ModelName) -> ModelDetails:
    return await request.app[PROVISIONER].info(message.model)


async def _search(request: web.Request, message: SearchModels) -> FoundRepositories:
    return await request.app[PROVISIONER].search(message)


async def _share(request: web.Request, message: ModelName) -> SharedModel:
    ref = request.app[PROVISIONER].reference(message.model)
    return await request.app[SHARED].share(ref)


async def _model_file(request: web.Request) -> web.StreamResponse:
    path = request.app[SHARED].file(caller.get(), request.match_info["name"])
    return FileResponse(path, request.app[server.LIFECYCLE].over)


def _verify(request: web.Request, message: ModelName) -> AsyncIterator[Event | None]:
    provisioner = request.app[PROVISIONER]
    return verify(provisioner.inventory, provisioner.reference(message.model))


async def _delete(request: web.Request, message: ModelName) -> Deleted:
    return await request.app[PROVISIONER].delete(message.model, request.app[WORKERS].holding)


def _logs(request: web.Request, _: ep.Nothing) -> AsyncIterator[Event | None]:
    query = LogQuery.of(request.query)
    return log_stream.read(request.app.get(RECENT_LOG), query.lines, query.follow)


def _events(request: web.Request, _: ep.Nothing) -> AsyncIterator[Numbered]:
    """The workers and the facts of the node, or what a reader missed, then every change."""
    facts = request.app[FACTS]

    def snapshot() -> Snapshot:
        if facts.told is None:
            facts.want()
        return Snapshot(request.app[WORKERS].rows(), facts.told)

    last_id = request.headers.get(LAST_EVENT_HEADER, "")
    return request.app[EVENTS].follow(last_id, snapshot)
