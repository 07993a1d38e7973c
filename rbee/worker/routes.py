"""The worker's HTTP: decode, call, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rbee.contract import endpoints as ep
from rbee.contract.daemons import Ack
from rbee.contract.embeddings import EmbeddingReply, EmbeddingRequest, RerankReply, RerankRequest
from rbee.contract.events import Event, Loading
from rbee.contract.tasks import InferenceRequest
from rbee.contract.texts import (
    DetokenizeRequest,
    PlainText,
    PromptText,
    TemplateText,
    TokenizeRequest,
    Tokens,
)
from rbee.contract.workers import ModelFacts, PromptReply, Readiness, WorkerHealth
from rbee.runtime import gauges, server
from rbee.runtime.broadcast import Broadcast, Progress
from rbee.runtime.light_aiohttp import web
from rbee.worker.requests.requests import Requests

REQUESTS: web.AppKey[Requests] = web.AppKey("requests", Requests)
PROGRESS: web.AppKey[Progress[Loading]] = web.AppKey("progress", Progress)
EVENTS: web.AppKey[Broadcast[Event]] = web.AppKey("events", Broadcast)
# What it has narrated while nobody listened.
UNHEARD: web.AppKey[list[Event]] = web.AppKey("unheard", list)


def add(app: web.Application) -> None:
    """Every route of the worker."""
    server.answer(app, ep.WORKER_HEALTH, _health)
    server.answer(app, ep.WORKER_HEALTH_OPEN, _health)
    server.answer(app, ep.WORKER_READY, _ready)
    server.answer(app, ep.WORKER_MODEL, _model)
    server.stream(app, ep.WORKER_LOADING, _loading)
    server.stream(app, ep.WORKER_INFERENCE, _infer)
    server.answer(app, ep.WORKER_CANCEL, _cancel)
    server.answer(app, ep.WORKER_PROMPT, _count)
    server.answer(app, ep.WORKER_EMBEDDINGS, _embed)
    server.answer(app, ep.WORKER_RERANK, _rerank)
    server.answer(app, ep.WORKER_TOKENIZE, _tokenize)
    server.answer(app, ep.WORKER_DETOKENIZE, _detokenize)
    server.answer(app, ep.WORKER_TEMPLATE, _template)
    server.answer(app, ep.WORKER_WRITE_PROMPT, _write_prompt)
    server.text(app, ep.METRICS, _metrics)
    server.stream(app, ep.WORKER_EVENTS, _events)
    server.accept_shutdown(app)
    server.answer(app, ep.WORKER_SHUTDOWN_IF_IDLE, _shut_down_if_idle)


async def _health(request: web.Request, _: ep.Nothing) -> WorkerHealth:
    state = request.app[REQUESTS].status().state
    return WorkerHealth(
        "unhealthy" if state == "unhealthy" else "healthy",
        model_loaded=state != "loading",
        memory_bytes=gauges.resident_bytes(),
    )


async def _ready(request: web.Request, _: ep.Nothing) -> Readiness:
    state = request.app[REQUESTS].status().state
    if state == "loading":
        url = request.app[server.LIFECYCLE].url + ep.WORKER_LOADING.path
        return Readiness(ready=False, state=state, progress_url=url)
    return Readiness(ready=True, state=state, model_loaded=True)


async def _model(request: web.Request, _: ep.Nothing) -> ModelFacts:
    return request.app[REQUESTS].loaded.model_facts()


async def _count(request: web.Request, message: InferenceRequest) -> PromptReply:
    return PromptReply(await request.app[REQUESTS].count(message))


async def _embed(request: web.Request, message: EmbeddingRequest) -> EmbeddingReply:
    from rbee.worker.requests import vectors

    return await vectors.embed(request.app[REQUESTS], message)


async def _rerank(request: web.Request, message: RerankRequest) -> RerankReply:
    from rbee.worker.requests import vectors

    return await vectors.rerank(request.app[REQUESTS], message)


async def _tokenize(request: web.Request, message: TokenizeRequest) -> Tokens:
    from rbee.worker.requests import texts

    return await texts.tokenize(request.app[REQUESTS], message)


async def _detokenize(request: web.Request, message: DetokenizeRequest) -> PlainText:
    from rbee.worker.requests import texts

    return await texts.detokenize(request.app[REQUESTS], message)


async def _template(request: web.Request, _: ep.Nothing) -> TemplateText:
    from rbee.worker.requests import texts

    return texts.template(request.app[REQUESTS])


async def _write_prompt(request: web.Request, message: InferenceRequest) -> PromptText:
    from rbee.worker.requests import texts

    return await texts.write_prompt(request.app[REQUESTS], message)


async def _metrics(request: web.Request) -> str:
    return request.app[REQUESTS].metrics.text()


def _loading(request: web.Request, _: ep.Nothing) -> AsyncIterator[Event | None]:
    return request.app[PROGRESS].listen()


def _infer(request: web.Request, message: InferenceRequest) -> AsyncIterator[Event | None]:
    return request.app[REQUESTS].answer(message)


async def _cancel(request: web.Request, _: ep.Nothing) -> ep.Nothing:
    request.app[REQUESTS].cancel(request.match_info["request_id"])
    return ep.Nothing()


async def _events(request: web.Request, _: ep.Nothing) -> AsyncIterator[Event | None]:
    """What nobody has heard yet of the load, which may have begun before the hive could listen; the
    worker's status, then each change."""
    app = request.app
    with app[EVENTS].listen() as events:
        unheard, app[UNHEARD][:] = [*app[UNHEARD]], []
        for said in unheard:
            yield said
        status, progress = app[REQUESTS].status(), app[PROGRESS].latest
        yield status
        if status.state == "loading" and progress is not None:
            yield progress
        async for event in events:
            yield event


async def _shut_down_if_idle(request: web.Request, _: ep.Nothing) -> Ack:
    """From here on no request is taken: there is no moment between the look and the end."""
    request.app[REQUESTS].check_idle()
    lifecycle = request.app[server.LIFECYCLE]
    lifecycle.shut_down()
    return Ack(f"{lifecycle.program} is shutting down.")
