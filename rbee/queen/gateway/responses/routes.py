"""The routes of OpenAI's Responses on the queen."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncGenerator

import msgspec

from rbee.contract import gateway_endpoints as ep
from rbee.contract.endpoints import Nothing
from rbee.contract.errors import ErrorEnvelope, NotFound, RbeeError
from rbee.contract.responses import InputTokensCount, ResponseEvent, ResponsesRequest
from rbee.contract.tasks import TaskRequest
from rbee.queen.gateway import fields
from rbee.queen.gateway.openai.refusal import refusal
from rbee.queen.gateway.replies import OPENS_WITHIN_S, json_reply, whole
from rbee.queen.gateway.responses.asked import renamed, response_task
from rbee.queen.gateway.responses.failure import failed
from rbee.queen.gateway.responses.head import begun
from rbee.queen.gateway.responses.stream import ResponseStream
from rbee.queen.gateway.responses.tools import Tools
from rbee.queen.gateway.room import Room
from rbee.runtime import server
from rbee.runtime.foreign import Below
from rbee.runtime.light_aiohttp import web
from rbee.runtime.sse_response import StreamForm


def add(app: web.Application, room: Room) -> None:
    """Every route of the protocol."""
    routes = _Routes(room)
    app[server.FOREIGN].below(Below("/responses/", "", refusal))
    for asked in (ep.QUEEN_RESPONSES, ep.QUEEN_RESPONSES_SHORT):
        server.foreign(app, asked, routes.respond, refusal)
    for counted in (ep.QUEEN_RESPONSES_COUNT, ep.QUEEN_RESPONSES_COUNT_SHORT):
        server.foreign(app, counted, routes.count, refusal)
    for read in (ep.QUEEN_RESPONSE, ep.QUEEN_RESPONSE_SHORT):
        server.foreign(app, read, routes.stored, refusal)
    for deleted in (ep.QUEEN_RESPONSE_DELETE, ep.QUEEN_RESPONSE_DELETE_SHORT):
        server.foreign(app, deleted, routes.stored, refusal)


class _Routes:
    def __init__(self, room: Room) -> None:
        self._room = room

    async def respond(self, request: web.Request, asked: ResponsesRequest) -> web.StreamResponse:
        model = await server.unless_revoked(request, self._room.model(asked.model))
        tools = Tools(asked.tools or ())
        task = response_task(asked, model, tools)
        response_id = f"resp_{secrets.token_hex(16)}"
        stream = ResponseStream(begun(response_id, int(time.time()), asked, task, tools), tools)
        session = fields.session(request.headers, asked.prompt_cache_key)
        events = self._events(task, session, stream, tools)
        if asked.stream:
            return await server.foreign_stream(request, events, _form(stream))
        await server.unless_revoked(request, whole(events))
        return json_reply(stream.response)

    async def count(self, request: web.Request, asked: ResponsesRequest) -> web.Response:
        model = await server.unless_revoked(request, self._room.model(asked.model))
        tools = Tools(asked.tools or ())
        task = response_task(asked, model, tools)
        try:
            counted = await server.unless_revoked(request, self._room.count(task))
        except RbeeError as error:
            raise renamed(error, tools) from None
        return json_reply(InputTokensCount(counted))

    async def stored(self, request: web.Request, _: Nothing) -> web.StreamResponse:
        """No response is ever there."""
        response_id = request.match_info["response_id"]
        message = "Nothing is stored here, so there are no responses but those just given"
        raise NotFound.of("response_id", "a stored response", message, response_id)

    async def _events(
        self, task: TaskRequest, session: str | None, stream: ResponseStream, tools: Tools
    ) -> AsyncGenerator[ResponseEvent, None]:
        try:
            async with contextlib.aclosing(self._room.answers([task], session)) as events:
                async for _, event in events:
                    for each in stream.take(event):
                        yield each
        except RbeeError as error:
            raise renamed(error, tools) from None


def _form(stream: ResponseStream) -> StreamForm:
    """There is no mark for the end: the last event is that."""

    def encode(event: ResponseEvent | ErrorEnvelope) -> bytes:
        if isinstance(event, ErrorEnvelope):
            return b"".join(map(_encoded, failed(stream, RbeeError.from_body(event.error))))
        return _encoded(event)

    return StreamForm(encode, last=b"", opens_within_s=OPENS_WITHIN_S)


def _encoded(event: ResponseEvent) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.type.encode(), msgspec.json.encode(event))
