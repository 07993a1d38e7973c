"""The queen's HTTP: decode, call, encode."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from msgspec.structs import replace

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.daemons import OWNER, Ack, QueenHealth, QueenStatus, Released
from rbee.contract.errors import WrongRole
from rbee.contract.events import Event
from rbee.contract.keys import ChangeKey, CreateKey, KeyCreated, KeyRow, KeyRows
from rbee.contract.logs import LogQuery
from rbee.contract.models import (
    Deleted,
    FoundRepositories,
    ModelDetails,
    NodeDownload,
    NodeModel,
    NodeModelRows,
    NodeSearch,
)
from rbee.contract.overview import Overview
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
from rbee.contract.tasks import TaskRequest
from rbee.contract.workers import (
    NodeStandbyRows,
    NodeWorkerRows,
    StartWorker,
    WorkerChecks,
    WorkerName,
)
from rbee.queen.holds import Holds
from rbee.queen.install.installer import Installer
from rbee.queen.keys.access import Access
from rbee.queen.keys.keyring import Keyring
from rbee.queen.nodes import overview
from rbee.queen.nodes.health import Health
from rbee.queen.nodes.logs import NodeLogs
from rbee.queen.nodes.membership import Membership
from rbee.queen.nodes.models import NodeModels
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.workers import NodeWorkers
from rbee.queen.tasks.scheduler import Scheduler
from rbee.runtime import gauges, server
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.keyring import caller
from rbee.runtime.light_aiohttp import web

KEYS: web.AppKey[Keyring] = web.AppKey("keys", Keyring)
ACCESS: web.AppKey[Access] = web.AppKey("access", Access)
HOLDS: web.AppKey[Holds] = web.AppKey("holds", Holds)
NODES: web.AppKey[Nodes] = web.AppKey("nodes", Nodes)
HEALTH: web.AppKey[Health] = web.AppKey("health", Health)
MEMBERSHIP: web.AppKey[Membership] = web.AppKey("membership", Membership)
INSTALLER: web.AppKey[Installer] = web.AppKey("installer", Installer)
MODELS: web.AppKey[NodeModels] = web.AppKey("models", NodeModels)
WORKERS: web.AppKey[NodeWorkers] = web.AppKey("workers", NodeWorkers)
LOGS: web.AppKey[NodeLogs] = web.AppKey("logs", NodeLogs)
SCHEDULER: web.AppKey[Scheduler] = web.AppKey("scheduler", Scheduler)
EVENTS: web.AppKey[Broadcast[Event]] = web.AppKey("events", Broadcast)

_DISCOVER_WITHIN_S = 1.0
_OVERVIEW_EVERY_S = 0.5


def add(app: web.Application) -> None:
    """Every route of the queen."""
    for health in (ep.QUEEN_HEALTH, ep.QUEEN_HEALTH_V1):
        server.answer(app, health, _health, lambda reply: reply.status != "ok")
    server.stream(app, ep.QUEEN_HOLD, _hold)
    server.answer(app, ep.QUEEN_RELEASE, _release)
    server.answer(app, ep.QUEEN_KEEP, _keep)
    server.stream(app, ep.QUEEN_TASKS, _task)
    server.answer(app, ep.QUEEN_CANCEL, _cancel)
    server.answer(app, ep.QUEEN_QUEUE, _queue)
    server.answer(app, ep.QUEEN_DECISIONS, _decisions)
    server.answer(app, ep.QUEEN_WORKERS, _workers)
    server.answer(app, ep.QUEEN_STANDBY, _standby)
    server.stream(app, ep.QUEEN_WORKER_START, _start_worker)
    server.answer(app, ep.QUEEN_WORKER_HEALTH, _worker_health)
    server.answer(app, ep.QUEEN_WORKER_SHUTDOWN, _end_worker)
    server.answer(app, ep.QUEEN_MODELS, _models)
    server.stream(app, ep.QUEEN_DOWNLOAD, _download)
    server.answer(app, ep.QUEEN_MODEL_INFO, _model_info)
    server.answer(app, ep.QUEEN_MODEL_SEARCH, _search)
    server.stream(app, ep.QUEEN_MODEL_VERIFY, _verify)
    server.answer(app, ep.QUEEN_MODEL_DELETE, _delete_model)
    server.answer(app, ep.QUEEN_ADD_NODE, _add_node)
    server.answer(app, ep.QUEEN_NODES, _nodes)
    server.answer_or_stream(app, ep.QUEEN_OVERVIEW, _overview, _overviews)
    server.answer(app, ep.QUEEN_CHECK_NODES, _check_nodes)
    server.answer(app, ep.QUEEN_REMOVE_NODE, _remove_node)
    server.stream(app, ep.QUEEN_INSTALL, _install)
    server.stream(app, ep.QUEEN_WAKE_NODE, _wake)
    server.answer(app, ep.QUEEN_RELOAD_NODES, _reload_nodes)
    server.answer(app, ep.QUEEN_KEY_CREATE, _create_key)
    server.answer(app, ep.QUEEN_KEYS, _keys)
    server.answer(app, ep.QUEEN_KEY_CHANGE, _change_key)
    server.answer(app, ep.QUEEN_KEY_REVOKE, _revoke_key)
    server.stream(app, ep.QUEEN_HIVE_START, _start_hive)
    server.stream(app, ep.QUEEN_HIVE_STOP, _stop_hive)
    server.answer(app, ep.QUEEN_HIVES, _hives)
    server.stream(app, ep.QUEEN_LOGS, _logs)
    server.stream(app, ep.QUEEN_EVENTS, _events)
    server.text(app, ep.METRICS, _metrics)
    server.accept_shutdown(app)


async def _health(request: web.Request, _: ep.Nothing) -> QueenHealth:
    lifetime = request.app[HOLDS].lifetime
    status: QueenStatus = "stalled" if request.app[SCHEDULER].watchdog.is_stalled else "ok"
    return QueenHealth(status, "queen-rbee", __version__, os.getpid(), lifetime)


def _hold(request: web.Request, _: ep.Nothing) -> AsyncIterator[Event | None]:
    return request.app[HOLDS].hold()


async def _release(request: web.Request, _: ep.Nothing) -> Released:
    hold_id, who = request.match_info["hold_id"], caller.get()
    if hold_id == OWNER and who.role != "manage":
        raise WrongRole(key=who.name, role=who.role, required="manage")
    return request.app[HOLDS].release(hold_id)


async def _keep(request: web.Request, _: ep.Nothing) -> Ack:
    request.app[HOLDS].keep()
    return Ack("The queen stays until it is told to stop.")


async def _metrics(request: web.Request) -> str:
    ages = overview.gauges(request.app[NODES], asyncio.get_running_loop().time())
    return gauges.text([*request.app[SCHEDULER].gauges(), *ages, gauges.memory()])


def _task(request: web.Request, message: TaskRequest) -> AsyncIterator[Event | None]:
    return request.app[SCHEDULER].stream(message, caller.get())


async def _cancel(request: web.Request, _: ep.Nothing) -> ep.Nothing:
    request.app[SCHEDULER].cancel(request.match_info["request_id"], caller.get())
    return ep.Nothing()


async def _queue(request: web.Request, _: ep.Nothing) -> TaskRows:
    return TaskRows(request.app[SCHEDULER].rows(caller.get()))


async def _decisions(request: web.Request, _: ep.Nothing) -> Decisions:
    return Decisions(request.app[SCHEDULER].decisions())


async def _workers(request: web.Request, _: ep.Nothing) -> NodeWorkerRows:
    rows = await request.app[NODES].workers(request.query.get("node"))
    return NodeWorkerRows(request.app[ACCESS].workers(caller.get(), rows))


async def _standby(request: web.Request, _: ep.Nothing) -> NodeStandbyRows:
    return NodeStandbyRows(await request.app[NODES].standby(request.query.get("node")))


def _start_worker(request: web.Request, message: StartWorker) -> AsyncIterator[Event | None]:
    return request.app[WORKERS].start(message)


async def _worker_health(request: web.Request, _: ep.Nothing) -> WorkerChecks:
    return await request.app[WORKERS].health(request.query.get("node"))


async def _end_worker(request: web.Request, message: WorkerName) -> Ack:
    return await request.app[WORKERS].shutdown(message.worker_id)


async def _models(request: web.Request, _: ep.Nothing) -> NodeModelRows:
    found = await request.app[MODELS].rows(request.query.get("node"))
    return request.app[ACCESS].models(caller.get(), found)


def _download(request: web.Request, message: NodeDownload) -> AsyncIterator[Event | None]:
    return request.app[MODELS].download(message)


async def _model_info(request: web.Request, message: NodeModel) -> ModelDetails:
    return await request.app[MODELS].info(message)


async def _search(request: web.Request, message: NodeSearch) -> FoundRepositories:
    return await request.app[MODELS].search(message)


def _verify(request: web.Request, message: NodeModel) -> AsyncIterator[Event | None]:
    return request.app[MODELS].verify(message)


async def _delete_model(request: web.Request, message: NodeModel) -> Deleted:
    return await request.app[MODELS].delete(message)


async def _add_node(request: web.Request, message: AddNode) -> NodeAdded:
    return await request.app[MEMBERSHIP].add(message)


async def _nodes(request: web.Request, _: ep.Nothing) -> NodeRows:
    return NodeRows(request.app[NODES].registry.rows())


async def _overview(request: web.Request, _: ep.Nothing) -> Overview:
    await _look_for_hives(request)
    return _overview_now(request)


async def _overviews(request: web.Request, _: ep.Nothing) -> AsyncIterator[Event | None]:
    """All of it, whenever something has changed but the age of what is known."""
    await _look_for_hives(request)
    told = None
    while True:
        found = _overview_now(request)
        ageless = [replace(node, facts_age_s=None) for node in found.nodes], found.waiting
        if ageless != told:
            told = ageless
            yield found
        await asyncio.sleep(_OVERVIEW_EVERY_S)


async def _look_for_hives(request: web.Request) -> None:
    """A queen that has just been started for this knows nothing yet; others look meanwhile."""
    is_new = request.app[HOLDS].lifetime == "ephemeral"
    within_s = _DISCOVER_WITHIN_S if is_new else 0
    await request.app[NODES].discover(within_s, wait_for_unreachable=False)


def _overview_now(request: web.Request) -> Overview:
    now = asyncio.get_running_loop().time()
    return Overview(overview.overview(request.app[NODES], now), request.app[SCHEDULER].waiting)


async def _check_nodes(request: web.Request, _: ep.Nothing) -> NodeChecks:
    return await request.app[HEALTH].check_all()


async def _remove_node(request: web.Request, message: NodeNamed) -> NodeChanged:
    return await request.app[MEMBERSHIP].remove(message.node_name)


def _install(request: web.Request, message: InstallNode) -> AsyncIterator[Event | None]:
    return request.app[INSTALLER].start(message)


def _wake(request: web.Request, message: NodeNamed) -> AsyncIterator[Event | None]:
    return request.app[NODES].wake(message.node_name)


async def _reload_nodes(request: web.Request, _: ep.Nothing) -> NodeChanged:
    return await request.app[MEMBERSHIP].reload()


async def _create_key(request: web.Request, message: CreateKey) -> KeyCreated:
    return await request.app[KEYS].create(request.app[ACCESS].whole(message))


async def _keys(request: web.Request, _: ep.Nothing) -> KeyRows:
    return KeyRows(request.app[KEYS].rows())


async def _change_key(request: web.Request, message: ChangeKey) -> KeyRow:
    return await request.app[KEYS].change(request.match_info["name"], message)


async def _revoke_key(request: web.Request, _: ep.Nothing) -> Ack:
    name = request.match_info["name"]
    await request.app[KEYS].revoke(name)
    return Ack(f"The key {name} is revoked: it opens nothing any more.")


def _start_hive(request: web.Request, message: HiveNode) -> AsyncIterator[Event | None]:
    return request.app[NODES].start_hive(message.node)


def _stop_hive(request: web.Request, message: HiveNode) -> AsyncIterator[Event | None]:
    return request.app[NODES].stop_hive(message.node)


async def _hives(request: web.Request, _: ep.Nothing) -> HiveStatuses:
    return await request.app[NODES].statuses(request.query.get("node"))


def _logs(request: web.Request, _: ep.Nothing) -> AsyncIterator[Event | None]:
    return request.app[LOGS].read(LogQuery.of(request.query))


async def _events(request: web.Request, _: ep.Nothing) -> AsyncIterator[Event | None]:
    with request.app[EVENTS].listen() as coming:
        yield None
        async for event in coming:
            yield event
