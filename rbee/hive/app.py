"""Builds the hive from its parts, and ends it only when its workers have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from rbee.hive import routes
from rbee.hive.facts import Facts
from rbee.hive.hardware.devices import Hardware
from rbee.hive.hardware.preflight import Preflight
from rbee.hive.logs.log_stream import RecentLog
from rbee.hive.models.cards import Cards
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.models.shared_models import SharedModels
from rbee.hive.settings import HiveSettings
from rbee.hive.workers.launch import Launcher
from rbee.hive.workers.registry import Workers
from rbee.hive.workers.standby import Standby
from rbee.hive.workers.worker_program import worker_command
from rbee.runtime import api_key, paths, server
from rbee.runtime.concurrency import stop
from rbee.runtime.daemon import DRAIN, Daemon, run
from rbee.runtime.journal import Journal
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.light_aiohttp import web
from rbee.runtime.narration import Narrator

PROGRAM = "rbee-hive"
_REPLACE_EVERY_S = 1.0


def main(settings: HiveSettings, standby: Standby) -> int:
    """Run the hive until it is told to stop; returns the exit code."""
    daemon = Daemon(
        program=PROGRAM,
        settings=settings,
        key=lambda: api_key.load(settings.config.auth.api_key_file),
        build=lambda lifecycle: _build(lifecycle, settings, standby),
        pid_file="hive-rbee",
    )
    return run(daemon)


def _build(lifecycle: Lifecycle, settings: HiveSettings, standby: Standby) -> web.Application:
    config = settings.config
    # An insecure hive asks for no key, but its workers still do: one key opens both.
    key = lifecycle.hello.api_key if lifecycle.hello else api_key.load(config.auth.api_key_file)
    app = server.application(lifecycle)
    events = app[routes.EVENTS] = Journal()
    if lifecycle.hello is None:  # its log is standard error
        app[routes.RECENT_LOG] = RecentLog()
        app[routes.RECENT_LOG].install()
    app[routes.HARDWARE] = Hardware(worker_command(config))
    app[routes.STANDBY] = standby
    narrator = Narrator(events.send)
    folder = Folder(paths.models_dir(config.models.dir))
    inventory = Inventory(paths.catalog_db(config.paths.catalog_db), folder, narrator)
    hub = Hub(config.models.download_stall_s, lifecycle.hello.hf_token if lifecycle.hello else None)
    preflight = Preflight(app[routes.HARDWARE], narrator.say)
    app[routes.PROVISIONER] = Provisioner(config, inventory, hub, preflight, narrator)
    shared = app[routes.SHARED] = SharedModels(inventory, lifecycle.keys)
    if lifecycle.keys is not None:
        lifecycle.keys = shared
    app[routes.CARDS] = Cards(inventory)
    app[routes.WORKERS] = Workers(
        config,
        lifecycle,
        Launcher(config, lifecycle, key, standby),
        preflight,
        app[routes.PROVISIONER],
        events,
    )
    app[routes.FACTS] = Facts(app[routes.HARDWARE], app[routes.PROVISIONER], events)
    app[DRAIN] = lambda: _drain(app)
    app.on_cleanup.append(lambda _: inventory.close())
    app.cleanup_ctx.append(_detect_backends)
    app.cleanup_ctx.append(_keep_standby)
    app.cleanup_ctx.append(_watch_facts)
    routes.add(app)
    return app


async def _detect_backends(app: web.Application) -> AsyncIterator[None]:
    """Ask at once what can be computed on, so that the first worker does not wait for it."""
    detection = asyncio.create_task(app[routes.HARDWARE].usable())
    yield
    await stop(detection)


async def _keep_standby(app: web.Application) -> AsyncIterator[None]:
    """Replace the standby workers that were taken or have ended."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(_REPLACE_EVERY_S)
            app[routes.STANDBY].replace(app[routes.WORKERS].is_busy())

    keeping = asyncio.create_task(keep())
    yield
    await stop(keeping)


async def _watch_facts(app: web.Application) -> AsyncIterator[None]:
    watching = asyncio.create_task(app[routes.FACTS].watch())
    yield
    await stop(watching)


async def _drain(app: web.Application) -> None:
    """End workers and downloads, at the same time."""
    app[routes.FACTS].close()
    app[routes.STANDBY].close()
    await asyncio.gather(app[routes.WORKERS].end_all(), app[routes.PROVISIONER].end_all())
