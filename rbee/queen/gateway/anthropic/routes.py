"""Anthropic's routes on the queen: each takes a request, and shapes what the room answers."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncGenerator

import msgspec

from rbee.contract import gateway_endpoints as ep
from rbee.contract.anthropic import (
    VERSION_HEADER,
    AnthropicEvent,
    CountTokensRequest,
    MessagesRequest,
    TokensCount,
)
from rbee.contract.endpoints import Nothing
from rbee.contract.errors import ErrorEnvelope, RbeeError
from rbee.contract.validation import decode_query
from rbee.queen.gateway import fields
from rbee.queen.gateway.anthropic import messages, models
from rbee.queen.gateway.anthropic.asked import counted_task, message_task
from rbee.queen.gateway.anthropic.refusal import refusal
from rbee.queen.gateway.replies import OPENS_WITHIN_S, json_reply, whole
from rbee.queen.gateway.room import Room
from rbee.runtime import server
from rbee.runtime.foreign import Below
from rbee.runtime.light_aiohttp import web
from rbee.runtime.sse_response import StreamForm

_PREFIX = "/v1/messages"
# By which the protocol's clients tell what they asked.
_ID_HEADER = "request-id"


def add(app: web.Application, room: Room) -> None:
    """Every route of the protocol. The list of models is OpenAI's for whoever does not say that
    this protocol is meant."""
    routes, foreign = _Routes(room), app[server.FOREIGN]
    foreign.below(Below(_PREFIX, "", refusal, _ID_HEADER))
    foreign.below(Below("/v1/", VERSION_HEADER, refusal, _ID_HEADER))
    server.foreign(app, ep.QUEEN_ANTHROPIC_MESSAGES, routes.message, refusal)
    server.foreign(app, ep.QUEEN_ANTHROPIC_COUNT, routes.count, refusal)
    foreign.instead(ep.QUEEN_OPENAI_MODELS.path, VERSION_HEADER, routes.models)
    foreign.instead(ep.QUEEN_OPENAI_MODEL.path, VERSION_HEADER, routes.model)


class _Routes:
    def __init__(self, room: Room) -> None:
        self._room = room

    async def message(self, request: web.Request, asked: MessagesRequest) -> web.StreamResponse:
        user = asked.metadata.user_id if asked.metadata is not None else None
        events = self._message(asked, fields.session(request.headers, user=user))
        if asked.stream:
            return await server.foreign_stream(request, events, _FORM)
        return json_reply(messages.gathered(await server.unless_revoked(request, whole(events))))

    async def count(self, request: web.Request, asked: CountTokensRequest) -> web.Response:
        counting = self._room.count(counted_task(asked, await self._room.model(asked.model)))
        return json_reply(TokensCount(await server.unless_revoked(request, counting)))

    async def models(self, request: web.Request, _: Nothing) -> web.Response:
        wanted = decode_query(request.query, models.Page)
        return json_reply(models.page(self._room.models(), wanted))

    async def model(self, request: web.Request, _: Nothing) -> web.Response:
        return json_reply(models.listed(await self._room.known_model(request.match_info["model"])))

    async def _message(
        self, asked: MessagesRequest, session: str | None
    ) -> AsyncGenerator[AnthropicEvent, None]:
        model = await self._room.model(asked.model)
        task = message_task(asked, model)
        stream = messages.MessageStream(_head(asked, model))
        async with contextlib.aclosing(self._room.answers([task], session)) as events:
            async for _, event in events:
                for each in stream.take(event):
                    yield each


def _head(asked: MessagesRequest, model: str) -> messages.Head:
    thinking: messages.Display = "none"
    if asked.thinking is not None and asked.thinking.type != "disabled":
        thinking = "omitted" if asked.thinking.display == "omitted" else "whole"
    return messages.Head(
        id=f"msg_{secrets.token_hex(12)}",
        model=asked.model or model,
        stops=frozenset(asked.stop_sequences or ()),
        thinking=thinking,
        silent=asked.max_tokens == 0,
    )


def _encode(event: object) -> bytes:
    if isinstance(event, ErrorEnvelope):
        error = RbeeError.from_body(event.error)
        body = refusal(error, error.status or 500)
        return b"event: error\ndata: %s\n\n" % msgspec.json.encode(body)
    assert isinstance(event, AnthropicEvent)
    return b"event: %s\ndata: %s\n\n" % (event.type.encode(), msgspec.json.encode(event))


_FORM = StreamForm(_encode, last=b"", opens_within_s=OPENS_WITHIN_S)
