"""Builds the queen's parts, and ends it only when everything below it has ended."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator

from rbee.contract.config import ModelsSection
from rbee.queen import routes
from rbee.queen.holds import Holds
from rbee.queen.install.installer import Installer
from rbee.queen.keys.access import Access
from rbee.queen.keys.key_file import KeyFile
from rbee.queen.keys.keyring import Keyring
from rbee.queen.nodes.catalog import Catalog
from rbee.queen.nodes.health import Health
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.nodes.logs import NodeLogs
from rbee.queen.nodes.membership import Membership
from rbee.queen.nodes.models import NodeModels
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.registry import Registry
from rbee.queen.nodes.workers import NodeWorkers
from rbee.queen.settings import QueenSettings
from rbee.queen.tasks.scheduler import Scheduler
from rbee.runtime import api_key, certificate, paths, server
from rbee.runtime import settings as configuration
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.concurrency import in_thread, stop
from rbee.runtime.daemon import DRAIN, Daemon, run
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.light_aiohttp import web

PROGRAM = "queen-rbee"
# Less than it waits for its hello.
_PREPARED_FOR_S = 20.0
_PROTOCOLS = "rbee.queen.gateway.protocols"
_PROTOCOLS_AFTER_S = 0.5


def main(settings: QueenSettings, local_hive: LocalHive) -> int:
    """Run the queen until told to stop; returns the exit code."""
    queen = settings.config.queen
    daemon = Daemon(
        program=PROGRAM,
        settings=settings,
        key=lambda: api_key.load(settings.config.auth.api_key_file),
        build=lambda lifecycle: _build(lifecycle, settings, local_hive),
        pid_file=PROGRAM,
        # Another command may hold a queen whose starter is gone.
        dies_with_parent=False,
        certificate=lambda: certificate.configured(queen.tls_cert, queen.tls_key),
        encrypt="Set up HTTPS: rbee-keeper auth certificate",
    )
    return run(daemon)


def _build(lifecycle: Lifecycle, settings: QueenSettings, local_hive: LocalHive) -> web.Application:
    config = settings.config
    key = lifecycle.hello.api_key if lifecycle.hello else api_key.load(config.auth.api_key_file)
    app = server.application(lifecycle)
    app[routes.KEYS] = Keyring(key, KeyFile(paths.keys_file()))
    app[routes.ACCESS] = Access(config.models)
    if lifecycle.keys is not None:
        lifecycle.keys = app[routes.KEYS]
    app[routes.HOLDS] = Holds(lifecycle)
    app[routes.EVENTS] = Broadcast()
    registry = Registry(paths.beehives_db(config.paths.beehives_db), configuration.nodes)
    app[routes.NODES] = Nodes(config, key, app[routes.EVENTS], registry, local_hive)
    app[routes.HEALTH] = Health(app[routes.NODES])
    app[routes.MEMBERSHIP] = Membership(app[routes.NODES], config)
    app[routes.INSTALLER] = Installer(app[routes.NODES], config)
    app[routes.SCHEDULER] = Scheduler(config, app[routes.NODES])
    on_node = app[routes.SCHEDULER].on_node
    app[routes.MODELS] = NodeModels(app[routes.NODES], config.models.aliases, on_node)
    app[routes.WORKERS] = NodeWorkers(config, app[routes.NODES], on_node)
    app[routes.LOGS] = NodeLogs(app[routes.NODES])
    app.cleanup_ctx.append(_watch_keys)
    app.cleanup_ctx.append(_watch_scheduler)
    app.on_startup.append(lambda _: registry.open())
    if lifecycle.hello is None:
        # A queen that lasts knows at once what runs on the nodes already.
        app.on_startup.append(lambda _: app[routes.NODES].discover(within_s=0))
    # Not sooner: what answers until the end still writes.
    app.on_cleanup.append(lambda _: registry.close())
    app.on_startup.append(lambda _: _limit(local_hive))
    app[DRAIN] = lambda: _drain(app, config.times.grace_s)
    routes.add(app)
    nodes, models = app[routes.NODES], app[routes.MODELS]
    catalog = Catalog(lambda: models.rows(None), nodes.seen_workers, models.cards)
    if lifecycle.hello is None:
        app.on_startup.append(lambda _: _begin(catalog, models))
        app.cleanup_ctx.append(_import_protocols)
    app.on_shutdown.append(lambda _: catalog.close())
    app[server.FOREIGN].later(lambda: _add_protocols(app, catalog, config.models))
    return app


def _add_protocols(app: web.Application, catalog: Catalog, configured: ModelsSection) -> None:
    from rbee.queen.gateway import protocols  # as large as a sixth of the queen

    scheduler, nodes = app[routes.SCHEDULER], app[routes.NODES]
    models, workers = app[routes.MODELS], app[routes.WORKERS]
    protocols.add(app, scheduler, catalog, nodes, models, workers, configured)


async def _import_protocols(app: web.Application) -> AsyncIterator[None]:
    """Once nobody waits for the queen to start: their modules take as long as a sixth of that."""

    async def ready() -> None:
        await asyncio.sleep(_PROTOCOLS_AFTER_S)
        await in_thread(importlib.import_module, _PROTOCOLS)
        app[server.FOREIGN].make()

    importing = asyncio.create_task(ready())
    yield
    await stop(importing)


async def _watch_keys(app: web.Application) -> AsyncIterator[None]:
    watching = asyncio.create_task(app[routes.KEYS].watch())
    yield
    await stop(watching)


async def _watch_scheduler(app: web.Application) -> AsyncIterator[None]:
    watching = asyncio.create_task(app[routes.SCHEDULER].watchdog.watch())
    yield
    await stop(watching)


async def _begin(catalog: Catalog, models: NodeModels) -> None:
    catalog.begin(models.running)


async def _limit(local_hive: LocalHive) -> None:
    """End a hive that was got ready, and that nobody needs after all."""
    asyncio.get_running_loop().call_later(_PREPARED_FOR_S, local_hive.close)


async def _drain(app: web.Application, grace_s: float) -> None:
    """End the hives, whose workers let running streams end within the grace; then what is left."""
    lifecycle, nodes, scheduler = app[server.LIFECYCLE], app[routes.NODES], app[routes.SCHEDULER]
    cutting = asyncio.create_task(_cut(app))
    ending = asyncio.create_task(nodes.close())
    empty = asyncio.create_task(scheduler.wait_until_idle())
    grace = asyncio.create_task(lifecycle.grace(grace_s))
    await asyncio.wait({empty, grace}, return_when=asyncio.FIRST_COMPLETED)
    scheduler.cancel_all()
    grace.cancel()
    await asyncio.gather(ending, empty)
    await stop(cutting)


async def _cut(app: web.Application) -> None:
    await app[server.LIFECYCLE].cut.wait()
    app[routes.SCHEDULER].cancel_all()
    app[routes.NODES].cut_lifelines()
