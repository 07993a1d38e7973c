"""The hive's wiring: listen, own workers, and end only when they have ended."""

from __future__ import annotations

from aiohttp import web

from rbee.hive import routes
from rbee.hive.adapters.hardware import Hardware
from rbee.hive.services.workers import Workers, worker_command
from rbee.hive.settings import HiveSettings
from rbee.runtime import api_key, server
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.daemon import DRAIN, Daemon, run
from rbee.runtime.life import Life

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


def _build(life: Life, settings: HiveSettings) -> web.Application:
    config = settings.config
    # An insecure hive asks for no key, but its workers still do: one key opens both.
    key = life.hello.api_key if life.hello else api_key.load(config.auth.api_key_file)
    app = server.application(life)
    app[routes.CONFIG] = config
    app[routes.EVENTS] = Broadcast()
    app[routes.HARDWARE] = Hardware(worker_command(config))
    workers = Workers(config, life, key, app[routes.HARDWARE], app[routes.EVENTS])
    app[routes.WORKERS] = workers
    app[DRAIN] = workers.end_all
    routes.add(app)
    return app
