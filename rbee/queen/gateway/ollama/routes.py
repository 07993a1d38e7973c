"""Ollama's routes on the queen: each takes a request, has the room answer it, and shapes that."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from rbee.contract import gateway_endpoints as ep
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import InvalidRequest, NotFound, RbeeError
from rbee.contract.events import Started
from rbee.contract.ollama import (
    ModelAsked,
    OllamaAsked,
    OllamaChat,
    OllamaEmbed,
    OllamaEmbeddings,
    OllamaGenerate,
    OllamaPull,
    OllamaVector,
    OllamaVectors,
    OllamaVersion,
)
from rbee.contract.tasks import TaskRequest
from rbee.queen.gateway import fields
from rbee.queen.gateway.ollama import asked as ask
from rbee.queen.gateway.ollama.parts import ChatParts, GenerateParts
from rbee.queen.gateway.ollama.pieces import Piece, Pieces, gathered
from rbee.queen.gateway.ollama.refusal import refusal
from rbee.queen.gateway.ollama.shelf import Shelf, named
from rbee.queen.gateway.ollama.values import nanoseconds, seconds
from rbee.queen.gateway.replies import OPENS_WITHIN_S, json_reply, refused, whole
from rbee.queen.gateway.room import Room
from rbee.runtime import server
from rbee.runtime.foreign import Below
from rbee.runtime.light_aiohttp import web
from rbee.runtime.sse_response import StreamForm

C = TypeVar("C", bound=msgspec.Struct)
A = TypeVar("A", bound=OllamaAsked)

# The first Ollama that had all of what is here: programs ask for one that is not too old for them.
VERSION = "0.13.0"
_RUNNING = "Ollama is running"
# What Ollama has, and what to do here instead.
_CANNOT: dict[Endpoint[Nothing, Any], tuple[str, str]] = {
    ep.QUEEN_OLLAMA_CREATE: (
        "rbee makes no models of others",
        "Name a model of your own in [models.aliases], and send its system prompt and its options "
        "with each request.",
    ),
    ep.QUEEN_OLLAMA_COPY: (
        "A second name for a model is an alias",
        "Write it into [models.aliases] on the queen's machine.",
    ),
    ep.QUEEN_OLLAMA_PUSH: (
        "rbee uploads no models",
        "Upload the file to Hugging Face with `hf upload`, and name it as hf:OWNER/REPO.",
    ),
    ep.QUEEN_OLLAMA_BLOBS: (
        "A model's file is not uploaded to the queen",
        "Name it as file:/PATH on its node, or as hf:OWNER/REPO.",
    ),
}


def add(app: web.Application, room: Room, shelf: Shelf) -> None:
    """Every route of the protocol."""
    routes = _Routes(room, shelf)
    app[server.FOREIGN].below(Below("/api/", "", refusal))
    server.foreign(app, ep.QUEEN_OLLAMA, _is_running, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_VERSION, _version, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_CHAT, routes.chat, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_GENERATE, routes.generate, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_EMBED, routes.embed, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_EMBEDDINGS, routes.embed_one, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_TAGS, routes.tags, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_PS, routes.processes, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_SHOW, routes.show, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_PULL, routes.pull, refusal)
    server.foreign(app, ep.QUEEN_OLLAMA_DELETE, routes.delete, refusal)
    for endpoint, (why, instead) in _CANNOT.items():
        server.foreign(app, endpoint, _cannot(why, instead), refusal)


async def _is_running(request: web.Request, _: Nothing) -> web.Response:
    """Some programs compare the words. A person with a browser would be misled by them."""
    if "text/html" in request.headers.get("Accept", ""):
        message = f"There is no page {request.path}"
        raise NotFound.of("path", "a route of this program", message, request.path)
    return web.Response(text=_RUNNING)


def _cannot(
    why: str, instead: str
) -> Callable[[web.Request, Nothing], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request, _: Nothing) -> web.StreamResponse:
        raise InvalidRequest.of("path", "another route", why, request.path, instead)

    return handle


async def _version(_: web.Request, __: Nothing) -> web.Response:
    return json_reply(OllamaVersion(VERSION))


class _Routes:
    def __init__(self, room: Room, shelf: Shelf) -> None:
        self._room = room
        self._shelf = shelf

    # Answers

    async def chat(self, request: web.Request, asked: OllamaChat) -> web.StreamResponse:
        make = ask.chat_task if asked.messages else None
        pieces = self._pieces(request, asked, make, ask.chat_name)
        return await _reply(request, asked, pieces, ChatParts(self._shelf.name(asked.model)))

    async def generate(self, request: web.Request, asked: OllamaGenerate) -> web.StreamResponse:
        make = ask.generate_task if asked.prompt else None
        pieces = self._pieces(request, asked, make, ask.generate_name)
        turns = None if asked.raw else ask.turns_of(asked)
        parts = GenerateParts(self._shelf.name(asked.model), turns)
        return await _reply(request, asked, pieces, parts)

    async def _pieces(
        self,
        request: web.Request,
        asked: A,
        make: Callable[[A, str], TaskRequest] | None,
        name: Callable[[str], str],
    ) -> AsyncGenerator[Piece, None]:
        """The pieces of an answer; without `make` of a request that asks nothing. `name` is what
        the request calls a field of a task."""
        pieces = Pieces()
        if make is None:
            named(asked.model)
        if make is None and asked.keep_alive is not None and seconds(asked.keep_alive) == 0:
            await self._shelf.unload(asked)
            yield pieces.loaded("unload")
            return
        model = await self._room.model(self._shelf.plain(asked.model))
        task = ask.load_task(asked, model) if make is None else make(asked, model)
        session = fields.session(request.headers)
        try:
            async with contextlib.aclosing(self._room.answers([task], session)) as events:
                async for _, event in events:
                    if isinstance(event, Started):
                        self._shelf.remember(event.model, asked.model)
                    for piece in pieces.take(event) if make is not None else ():
                        yield piece
        except RbeeError as error:
            raise fields.with_names(error, name) from None
        if make is None:
            yield pieces.loaded("load")

    # Vectors

    async def embed(self, request: web.Request, asked: OllamaEmbed) -> web.Response:
        began = time.monotonic()
        vectors, tokens = await self._vectors(request, asked)
        took = nanoseconds((time.monotonic() - began) * 1000)
        name = self._shelf.name(asked.model)
        return json_reply(OllamaVectors(name, vectors, took, 0, tokens))

    async def embed_one(self, request: web.Request, asked: OllamaEmbeddings) -> web.Response:
        same = OllamaEmbed(
            model=asked.model, input=asked.prompt, truncate=False, options=asked.options
        )
        vectors, _ = await self._vectors(request, same)
        return json_reply(OllamaVector(vectors[0] if vectors else []))

    async def _vectors(
        self, request: web.Request, asked: OllamaEmbed
    ) -> tuple[list[list[float]], int]:
        """The vectors, and how many tokens were read for them."""
        texts = ask.embedding_request(asked)
        if texts is None:
            named(asked.model)
        model = await self._room.model(self._shelf.plain(asked.model))
        if texts is None:
            return [], 0
        reply = await server.unless_revoked(request, self._room.vectors(texts, model))
        rows = [row.embedding for row in reply.data if not isinstance(row.embedding, str)]
        return rows, reply.usage.prompt_tokens

    # Models

    async def tags(self, request: web.Request, _: Nothing) -> web.Response:
        return json_reply(await server.unless_revoked(request, self._shelf.tags()))

    async def processes(self, request: web.Request, _: Nothing) -> web.Response:
        return json_reply(await server.unless_revoked(request, self._shelf.processes()))

    async def show(self, request: web.Request, asked: ModelAsked) -> web.Response:
        return json_reply(await server.unless_revoked(request, self._shelf.shown(asked)))

    async def pull(self, request: web.Request, asked: OllamaPull) -> web.StreamResponse:
        steps = self._shelf.pull(asked)
        if asked.stream is not False:
            return await server.foreign_stream(request, steps, _LINES)
        return json_reply((await server.unless_revoked(request, whole(steps)))[-1])

    async def delete(self, request: web.Request, asked: ModelAsked) -> web.Response:
        await server.unless_revoked(request, self._shelf.delete(asked))
        return web.Response()


async def _reply(
    request: web.Request,
    asked: OllamaAsked,
    pieces: AsyncGenerator[Piece, None],
    part: Callable[[Piece], C],
) -> web.StreamResponse:
    """The pieces as lines, or gathered: `part` shapes them."""
    if asked.stream is False:
        found = await server.unless_revoked(request, whole(pieces))
        return json_reply(part(gathered(found)))

    async def lines() -> AsyncIterator[C]:
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                yield part(piece)

    return await server.foreign_stream(request, lines(), _LINES)


def _line(part: object) -> bytes:
    return msgspec.json.encode(refused(part, refusal)) + b"\n"


# No comments, and nothing after the last line: clients read every line as JSON.
_LINES = StreamForm(
    _line, "application/x-ndjson", keep_alive=b"", last=b"", opens_within_s=OPENS_WITHIN_S
)
