"""OpenAI's routes on the queen: each takes a request, has the room answer it, and shapes that."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncGenerator
from functools import partial

import msgspec

from rbee.contract import gateway_endpoints as ep
from rbee.contract.endpoints import Nothing
from rbee.contract.openai import (
    ChatChunk,
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    ModelStatus,
    OpenAIModel,
    OpenAIModels,
    OpenAISampling,
    RankRequest,
    TextCompletion,
)
from rbee.queen.gateway import fields
from rbee.queen.gateway.openai import chat, completions
from rbee.queen.gateway.openai.asked import (
    chat_tasks,
    completion_tasks,
    embedding_request,
    prompts_of,
    rerank_request,
)
from rbee.queen.gateway.openai.chunks import Head
from rbee.queen.gateway.openai.refusal import refusal
from rbee.queen.gateway.replies import OPENS_WITHIN_S, json_reply, refused, whole
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import KnownModel
from rbee.runtime import server
from rbee.runtime.foreign import Below, Refuse
from rbee.runtime.light_aiohttp import web
from rbee.runtime.sse_response import StreamForm

# A conversation is one prompt for the worker, and `messages` for the client.
_refuse_chat = partial(refusal, names={"prompt": "messages"})


def add(app: web.Application, room: Room) -> None:
    """Every route of the protocol."""
    routes = _Routes(room)
    app[server.FOREIGN].below(Below("/v1/", "", refusal))
    for models in (ep.QUEEN_OPENAI_MODELS, ep.QUEEN_OPENAI_MODELS_SHORT):
        server.foreign(app, models, routes.models, refusal)
    server.foreign(app, ep.QUEEN_OPENAI_MODEL, routes.model, refusal)
    for asked in (ep.QUEEN_OPENAI_CHAT, ep.QUEEN_OPENAI_CHAT_SHORT):
        server.foreign(app, asked, routes.chat, _refuse_chat)
    for prompted in (ep.QUEEN_OPENAI_COMPLETIONS, ep.QUEEN_OPENAI_COMPLETIONS_SHORT):
        server.foreign(app, prompted, routes.complete, refusal)
    for embedded in (ep.QUEEN_OPENAI_EMBEDDINGS, ep.QUEEN_OPENAI_EMBEDDINGS_SHORT):
        server.foreign(app, embedded, routes.embed, refusal)
    for ranked in (ep.QUEEN_OPENAI_RERANK, ep.QUEEN_OPENAI_RERANK_SHORT):
        server.foreign(app, ranked, routes.rerank, refusal)


class _Routes:
    def __init__(self, room: Room) -> None:
        self._room = room

    async def models(self, _: web.Request, __: Nothing) -> web.Response:
        return json_reply(OpenAIModels(data=[_listed(model) for model in self._room.models()]))

    async def model(self, request: web.Request, _: Nothing) -> web.Response:
        return json_reply(_listed(await self._room.known_model(request.match_info["model"])))

    async def chat(self, request: web.Request, asked: ChatRequest) -> web.StreamResponse:
        chunks = self._chat(
            asked, _session(request, asked), not asked.stream or _wants_usage(asked)
        )
        if asked.stream:
            return await server.foreign_stream(request, chunks, _form(_refuse_chat))
        return json_reply(chat.gathered(await server.unless_revoked(request, whole(chunks))))

    async def complete(self, request: web.Request, asked: CompletionRequest) -> web.StreamResponse:
        chunks = self._complete(
            asked, _session(request, asked), not asked.stream or _wants_usage(asked)
        )
        if asked.stream:
            return await server.foreign_stream(request, chunks, _form(refusal))
        return json_reply(completions.gathered(await server.unless_revoked(request, whole(chunks))))

    async def embed(self, request: web.Request, asked: EmbeddingsRequest) -> web.Response:
        texts = embedding_request(asked)
        model = await self._room.model(asked.model)
        reply = await server.unless_revoked(request, self._room.vectors(texts, model))
        return json_reply(msgspec.structs.replace(reply, model=asked.model or model))

    async def rerank(self, request: web.Request, asked: RankRequest) -> web.Response:
        texts = rerank_request(asked)
        model = await self._room.model(asked.model)
        reply = await server.unless_revoked(request, self._room.scores(texts, model))
        return json_reply(msgspec.structs.replace(reply, model=asked.model or model))

    async def _chat(
        self, asked: ChatRequest, session: str | None, usage: bool
    ) -> AsyncGenerator[ChatChunk, None]:
        model = await self._room.model(asked.model)
        tasks = chat_tasks(asked, model)
        head = _head("chatcmpl", asked, model)
        stream = chat.ChatStream(head, usage)
        async with contextlib.aclosing(self._room.answers(tasks, session)) as events:
            async for index, event in events:
                for chunk in stream.take(index, event):
                    yield chunk

    async def _complete(
        self, asked: CompletionRequest, session: str | None, usage: bool
    ) -> AsyncGenerator[TextCompletion, None]:
        model = await self._room.model(asked.model)
        tasks = completion_tasks(asked, model)
        head = _head("cmpl", asked, model)
        echoes = [str(prompt) for prompt in prompts_of(asked) for _ in range(head.choices)]
        stream = completions.TextStream(head, usage, len(tasks), echoes if asked.echo else ())
        async with contextlib.aclosing(self._room.answers(tasks, session)) as events:
            async for index, event in events:
                for chunk in stream.take(index, event):
                    yield chunk


def _session(request: web.Request, asked: OpenAISampling) -> str | None:
    return fields.session(request.headers, asked.prompt_cache_key)


def _head(kind: str, asked: OpenAISampling, model: str) -> Head:
    name = asked.model or model
    return Head(f"{kind}-{secrets.token_hex(12)}", int(time.time()), name, asked.n or 1)


def _wants_usage(asked: OpenAISampling) -> bool:
    return bool(asked.stream_options and asked.stream_options.include_usage)


def _form(refuse: Refuse) -> StreamForm:
    def encode(chunk: object) -> bytes:
        return b"data: %s\n\n" % msgspec.json.encode(refused(chunk, refuse))

    return StreamForm(encode, opens_within_s=OPENS_WITHIN_S)


def _listed(model: KnownModel) -> OpenAIModel:
    scheme, _, name = model.reference.partition(":")
    owner = name.partition("/")[0] if scheme == "hf" else "rbee"
    status = ModelStatus(model.state)
    return OpenAIModel(id=model.reference, created=model.since, owned_by=owner, status=status)
