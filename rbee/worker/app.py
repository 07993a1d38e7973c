"""Builds the worker and owns its start and stop: listen, tell the hive, load, answer, free.

One thread owns llama.cpp (`engine/engine.py`). The event loop only hands requests over to it and
streams tokens back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from rbee.contract.endpoints import HIVE_READY
from rbee.contract.errors import RbeeError
from rbee.contract.events import Loading, Narration
from rbee.contract.workers import ReadyCallback
from rbee.runtime import api_key, server
from rbee.runtime.broadcast import Broadcast, Progress
from rbee.runtime.client import Client
from rbee.runtime.concurrency import in_thread, stop
from rbee.runtime.daemon import DRAIN, Daemon, run
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.light_aiohttp import web
from rbee.runtime.narration import Narrator
from rbee.runtime.retry import doubling
from rbee.worker import late_imports, routes
from rbee.worker.engine.engine import Engine
from rbee.worker.engine.load import Load, Loaded
from rbee.worker.model.templates.renderers import Renderers
from rbee.worker.requests.requests import Requests
from rbee.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from rbee.gguf.file_changes import Change
    from rbee.worker.requests.model_files import ModelFiles

PROGRAM = "llm-worker-rbee"
_ATTEMPTS = 6
_FIRST_PAUSE_S = 0.2
_log = logging.getLogger(PROGRAM)


def main(settings: WorkerSettings) -> int:
    """Run the worker until it is told to stop; returns the exit code."""
    daemon = Daemon(
        program=PROGRAM,
        settings=settings,
        key=lambda: api_key.load(settings.config.auth.api_key_file),
        build=lambda lifecycle: _build(lifecycle, settings),
        log_name=settings.worker_id,
    )
    return run(daemon)


def _build(lifecycle: Lifecycle, settings: WorkerSettings) -> web.Application:
    app = server.application(lifecycle)
    events = app[routes.EVENTS] = Broadcast()
    app[routes.UNHEARD] = []
    app[routes.PROGRESS] = Progress(lambda loading: loading.stage == "ready")
    app[routes.REQUESTS] = Requests(settings.slots, settings.model_ref, events)
    routes.add(app)
    app[DRAIN] = lambda: _drain(app, settings)
    app.cleanup_ctx.append(lambda _: _engine(app, settings))
    return app


async def _engine(app: web.Application, settings: WorkerSettings) -> AsyncIterator[None]:
    """Run the engine as long as the server runs."""
    lifecycle, requests = app[server.LIFECYCLE], app[routes.REQUESTS]
    events, progress = app[routes.EVENTS], app[routes.PROGRESS]
    began = time.monotonic()

    def tell(narration: Narration) -> None:
        if events.is_heard:
            events.send(narration)
        else:
            app[routes.UNHEARD].append(narration)

    narrator = Narrator(tell)

    def on_progress(loading: Loading) -> None:
        progress.tell(loading)
        events.send(loading)

    def on_ready(outcome: Loaded | RbeeError) -> None:
        if isinstance(outcome, RbeeError):
            progress.fail(outcome)
            if not lifecycle.draining.is_set():
                lifecycle.fail(outcome)
            return
        # Narrated first: a listener that has seen the worker idle has heard of its load.
        took = time.monotonic() - began
        narrator.say("model-loader", "✅", f"{settings.model_ref} is loaded, in {took:.1f} s")
        requests.open(outcome, engine, _files(outcome, settings.mmap, lifecycle, requests))
        outcome.chat.prepare()
        on_progress(Loading("ready"))

    renderers = Renderers(settings.config.worker.template_s)
    renderers.start()
    load = Load(
        settings, on_progress, lambda text: narrator.say("model-loader", "📖", text), renderers
    )
    cache_bytes = settings.cache_ram_mb * 1_000_000
    engine = Engine(load, settings.slots, on_ready, requests.take, cache_bytes)
    starting = asyncio.create_task(_start(lifecycle, settings, engine))
    yield
    load.stop()
    await stop(starting)
    await requests.close()
    await renderers.close()
    await engine.stop()


def _files(loaded: Loaded, mapped: bool, lifecycle: Lifecycle, requests: Requests) -> ModelFiles:
    """The model's files. The worker shuts down when they are no longer what was loaded: the next
    one loads what is there now. Running answers end too if the files are `mapped`."""
    from rbee.worker.requests.model_files import ModelFiles

    def on_change(change: Change) -> str:
        name = change.file
        why = f"{name} has changed since this worker loaded it, so the worker is shutting down."
        _log.warning("%s", why)
        lifecycle.shut_down()
        if mapped and change.in_place:
            # It is not known any more what the answers are computed with.
            requests.cancel_all(why)
        return why

    return ModelFiles(loaded.header.file, loaded.files.find, on_change)


async def _start(lifecycle: Lifecycle, settings: WorkerSettings, engine: Engine) -> None:
    """Tell the hive that the worker listens, and load."""
    if settings.callback_url is None:
        engine.start()
        await _import()
        return
    times = settings.config.times
    hive = Client(settings.callback_url, lifecycle.key, times.connect_s, times.stream_silence_s)
    callback = ReadyCallback(
        settings.worker_id, lifecycle.url, settings.model_ref, settings.backend, settings.device
    )
    async with hive:
        announcing = asyncio.create_task(_announce(hive, callback))
        # One turn of the loop sends the callback; the load does not wait for the answer.
        await asyncio.sleep(0)
        engine.start()
        await _import()
        await announcing


async def _import() -> None:
    """Import what the first answer needs while the model loads. What is wrong with it, that one
    tells."""
    with contextlib.suppress(Exception):
        await in_thread(late_imports.import_now)


async def _announce(hive: Client, callback: ReadyCallback) -> None:
    """Tell the hive that the worker listens, in up to six attempts. If it never answers, only warn:
    the worker serves all the same."""
    for attempt, pause in enumerate(doubling(_FIRST_PAUSE_S, _ATTEMPTS), start=1):
        await asyncio.sleep(pause)
        try:
            await hive.call(HIVE_READY, callback)
            return
        except RbeeError as error:
            _log.info("ready callback, attempt %d of %d: %s", attempt, _ATTEMPTS, error)
    _log.warning("the hive at %s did not confirm that this worker listens", hive.url)


async def _drain(app: web.Application, settings: WorkerSettings) -> None:
    """Let running requests finish within the grace period, then cancel them."""
    lifecycle, requests = app[server.LIFECYCLE], app[routes.REQUESTS]
    empty = asyncio.create_task(requests.empty())
    grace = asyncio.create_task(lifecycle.grace(settings.config.times.grace_s))
    await asyncio.wait({empty, grace}, return_when=asyncio.FIRST_COMPLETED)
    grace.cancel()
    requests.cancel_all()
    await empty
