"""The hive's wiring: listen, own workers, and end only when they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from rbee.hive import routes
from rbee.hive.hardware.devices import Hardware
from rbee.hive.hardware.preflight import Preflight
from rbee.hive.logs.recent_log import OwnLines
from rbee.hive.models.folder import Folder
from rbee.hive.models.hub import Hub
from rbee.hive.models.inventory import Inventory
from rbee.hive.models.provisioner import Provisioner
from rbee.hive.settings import HiveSettings
from rbee.hive.workers.registry import Workers, worker_command
from rbee.runtime import api_key, paths, server
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.cancellation import stop
from rbee.runtime.daemon import DRAIN, Daemon, run
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.narration import Narrator

PROGRAM = "rbee-hive"


def main(settings: HiveSettings) -> int:
    """Run the hive until told to stop; returns the exit code."""
    daemon = Daemon(
        program=PROGRAM,
        config=settings.config,
        host=settings.host,
        port=settings.port,
        lifeline=settings.lifeline,
        insecure=settings.insecure,
        key=lambda: api_key.load(settings.config.auth.api_key_file),
        build=lambda life: _build(life, settings),
        pid_file="hive-rbee",
    )
    return run(daemon)


def _build(life: Lifecycle, settings: HiveSettings) -> web.Application:
    config = settings.config
    # An insecure hive asks for no key, but its workers still do: one key opens both.
    key = life.hello.api_key if life.hello else api_key.load(config.auth.api_key_file)
    app = server.application(life)
    app[routes.EVENTS] = Broadcast()
    if life.hello is None:  # its log is standard error
        app[routes.OWN_LINES] = OwnLines()
        app[routes.OWN_LINES].install()
    app[routes.HARDWARE] = Hardware(worker_command(config))
    narrator = Narrator(app[routes.EVENTS].send)
    folder = Folder(paths.models_dir(config.models.dir))
    inventory = Inventory(paths.catalog_db(config.paths.catalog_db), folder, narrator)
    hub = Hub(config.models.download_stall_s, life.hello.hf_token if life.hello else None)
    preflight = Preflight(app[routes.HARDWARE], narrator.say)
    app[routes.PROVISIONER] = Provisioner(config, inventory, hub, preflight, narrator)
    app[routes.WORKERS] = Workers(
        config,
        life,
        key,
        preflight,
        app[routes.PROVISIONER],
        app[routes.EVENTS],
    )
    app[DRAIN] = lambda: _drain(app)
    app.on_cleanup.append(lambda _: inventory.close())
    app.cleanup_ctx.append(_learn)
    routes.add(app)
    return app


async def _learn(app: web.Application) -> AsyncIterator[None]:
    """What can be computed on is asked at once, so that the first worker need not wait for it."""
    asking = asyncio.create_task(app[routes.HARDWARE].usable())
    yield
    await stop(asking)


async def _drain(app: web.Application) -> None:
    """Workers and downloads, at the same time."""
    await asyncio.gather(app[routes.WORKERS].end_all(), app[routes.PROVISIONER].end_all())
