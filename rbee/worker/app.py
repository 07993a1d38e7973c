"""The worker's wiring: listen, tell the hive, load, answer, and give the memory back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

from aiohttp import web

from rbee.contract.endpoints import HIVE_READY
from rbee.contract.errors import RbeeError
from rbee.contract.events import Loading
from rbee.contract.nodes import Usable
from rbee.contract.workers import ReadyCallback
from rbee.runtime import api_key, server
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.cancellation import stop
from rbee.runtime.client import Client
from rbee.runtime.daemon import DRAIN, Daemon, run
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.narration import Narrator
from rbee.runtime.progress import Progress
from rbee.runtime.retry import doubling
from rbee.worker import routes
from rbee.worker.engine.engine import Engine
from rbee.worker.engine.load import Load, Loaded
from rbee.worker.requests.inference import Inference
from rbee.worker.requests.requests import Requests
from rbee.worker.settings import WorkerSettings

PROGRAM = "llm-worker-rbee"
_ATTEMPTS = 6
_FIRST_PAUSE_S = 0.2
_log = logging.getLogger(PROGRAM)


def main(settings: WorkerSettings) -> int:
    """Run the worker until told to stop; returns the exit code."""
    file = settings.api_key_file
    daemon = Daemon(
        program=PROGRAM,
        config=settings.config,
        host=settings.host,
        port=settings.port,
        lifeline=settings.lifeline,
        insecure=settings.insecure,
        key=lambda: api_key.load(file) if file else None,
        build=lambda life: _build(life, settings),
        log_name=settings.worker_id,
    )
    return run(daemon)


def _build(life: Lifecycle, settings: WorkerSettings) -> web.Application:
    app = server.application(life)
    app[routes.EVENTS] = Broadcast()
    app[routes.PROGRESS] = Progress(lambda news: news.stage == "ready")
    app[routes.REQUESTS] = Requests(settings.slots, app[routes.EVENTS])
    app[routes.INFERENCE] = Inference(app[routes.REQUESTS], settings.model_ref)
    routes.add(app)
    app[DRAIN] = lambda: _drain(app, settings)
    app.cleanup_ctx.append(lambda _: _engine(app, settings))
    return app


async def _engine(app: web.Application, settings: WorkerSettings) -> AsyncIterator[None]:
    """The engine's life, beside the server's. It starts once the hive has been told."""
    life, progress = app[server.LIFECYCLE], app[routes.PROGRESS]
    narrator = Narrator(app[routes.EVENTS].send)
    began = time.monotonic()

    def tell(news: Loading) -> None:
        progress.tell(news)
        app[routes.EVENTS].send(news)

    def ready(outcome: Loaded | RbeeError) -> None:
        if isinstance(outcome, RbeeError):
            progress.fail(outcome)
            if not life.draining.is_set():
                life.fail(outcome)
            return
        # Told first: whoever has seen the worker idle has heard of its load.
        took = time.monotonic() - began
        narrator.say("model-loader", "✅", f"{settings.model_ref} is loaded, in {took:.1f} s")
        app[routes.REQUESTS].open(outcome, engine)
        tell(Loading("ready"))

    load = Load(settings, tell, lambda text: narrator.say("model-loader", "📖", text))
    engine = Engine(load, settings.slots, ready, app[routes.REQUESTS].take)
    starting = asyncio.create_task(_start(app, settings, engine))
    yield
    load.stop()
    await stop(starting)
    await app[routes.INFERENCE].settle()
    await engine.stop()


async def _start(app: web.Application, settings: WorkerSettings, engine: Engine) -> None:
    life = app[server.LIFECYCLE]
    if settings.callback_url is None:
        engine.start()
        return
    times = settings.config.times
    hive = Client(settings.callback_url, life.key, times.connect_s, times.stream_silence_s)
    callback = ReadyCallback(
        settings.worker_id, life.url, settings.model_ref, settings.backend, settings.device
    )
    async with hive:
        telling = asyncio.create_task(_announce(hive, callback))
        # One turn of the loop puts the callback on its way; the load does not wait for the answer.
        await asyncio.sleep(0)
        engine.start()
        await telling


async def _announce(hive: Client, callback: ReadyCallback) -> None:
    """Tell the hive that this worker listens, in up to six attempts. Without an answer it only
    warns: the worker serves all the same."""
    for attempt, pause in enumerate(doubling(_FIRST_PAUSE_S, _ATTEMPTS), start=1):
        await asyncio.sleep(pause)
        try:
            await hive.call(HIVE_READY, callback)
            return
        except RbeeError as error:
            _log.info("ready callback, attempt %d of %d: %s", attempt, _ATTEMPTS, error)
    _log.warning("the hive at %s did not confirm that this worker listens", hive.url)


async def _drain(app: web.Application, settings: WorkerSettings) -> None:
    """Let running requests end within the grace period, then end them."""
    life, requests = app[server.LIFECYCLE], app[routes.REQUESTS]
    empty = asyncio.create_task(requests.empty())
    grace = asyncio.create_task(life.grace(settings.config.times.grace_s))
    await asyncio.wait({empty, grace}, return_when=asyncio.FIRST_COMPLETED)
    grace.cancel()
    requests.cut()
    await empty


def detect() -> Usable:
    """What the installed llama.cpp can compute on."""
    from rbee.worker.model.llama import usable

    return usable()
