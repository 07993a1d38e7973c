"""llama.cpp's routes on the queen."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import msgspec

from rbee import __version__
from rbee.contract import gateway_endpoints as ep
from rbee.contract.endpoints import Nothing
from rbee.contract.errors import InvalidRequest, RbeeError
from rbee.contract.llama_cpp import (
    LlamaAnswer,
    LlamaCompletion,
    LlamaDetokenize,
    LlamaModalities,
    LlamaPiece,
    LlamaPrompt,
    LlamaProps,
    LlamaSlot,
    LlamaText,
    LlamaTokenize,
    LlamaTokens,
)
from rbee.contract.openai import ChatRequest
from rbee.contract.tasks import TaskRequest
from rbee.contract.texts import DetokenizeRequest, TokenizeRequest
from rbee.contract.validation import convert
from rbee.queen.gateway import fields
from rbee.queen.gateway.llama_cpp import completion
from rbee.queen.gateway.llama_cpp.refusal import refusal
from rbee.queen.gateway.openai.asked import chat_tasks
from rbee.queen.gateway.replies import OPENS_WITHIN_S, json_reply, refused, whole
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.loaded import LoadedModel
from rbee.runtime import server
from rbee.runtime.light_aiohttp import web
from rbee.runtime.sse_response import StreamForm


class Loaded(Protocol):
    """The models in memory."""

    async def find(self, reference: str, shows: Callable[[str], bool]) -> LoadedModel | None:
        """The model of this reference, or one of this repository that may be shown; None if no
        worker has it."""


def add(app: web.Application, room: Room, loaded: Loaded) -> None:
    """Every route of the protocol that OpenAI's does not have."""
    routes = _Routes(room, loaded)
    server.foreign(app, ep.QUEEN_LLAMA_TOKENIZE, routes.tokenize, refusal)
    server.foreign(app, ep.QUEEN_LLAMA_DETOKENIZE, routes.detokenize, refusal)
    server.foreign(app, ep.QUEEN_LLAMA_TEMPLATE, routes.template, refusal)
    server.foreign(app, ep.QUEEN_LLAMA_PROPS, routes.props, refusal)
    server.foreign(app, ep.QUEEN_LLAMA_SLOTS, routes.slots, refusal)
    server.foreign(app, ep.QUEEN_LLAMA_COMPLETION, routes.complete, refusal)
    server.foreign(app, ep.QUEEN_LLAMA_INFILL, routes.infill, refusal)


class _Routes:
    def __init__(self, room: Room, loaded: Loaded) -> None:
        self._room = room
        self._loaded = loaded

    async def tokenize(self, request: web.Request, asked: LlamaTokenize) -> web.Response:
        fields = {
            name: value
            for name in ("add_special", "parse_special", "with_pieces")
            if (value := getattr(asked, name)) is not None
        }
        wanted = convert({"content": asked.content, **fields}, TokenizeRequest)
        model = await self._model(request, asked.model)
        found = await server.unless_revoked(request, self._room.tokens(wanted, model))
        if found.pieces is None:
            return json_reply(LlamaTokens([*found.tokens]))
        pairs = zip(found.tokens, found.pieces, strict=True)
        return json_reply(LlamaTokens([LlamaPiece(*pair) for pair in pairs]))

    async def detokenize(self, request: web.Request, asked: LlamaDetokenize) -> web.Response:
        model = await self._model(request, asked.model)
        wanted = convert({"tokens": asked.tokens}, DetokenizeRequest)
        return json_reply(
            LlamaText(await server.unless_revoked(request, self._room.text(wanted, model)))
        )

    async def template(self, request: web.Request, asked: ChatRequest) -> web.Response:
        model = await self._model(request, asked.model)
        [task, *_] = chat_tasks(asked, model)
        return json_reply(
            LlamaPrompt(await server.unless_revoked(request, self._room.prompt(task)))
        )

    async def props(self, request: web.Request, _: Nothing) -> web.Response:
        model = await self._model(request, None)
        found = await self._loaded.find(self._room.permitted(model), self._room.shows)
        slots = [] if found is None else _slots(found)
        unknown = LlamaSlot(id=0, n_ctx=0, is_processing=False, params=_defaults())
        return json_reply(
            LlamaProps(
                default_generation_settings=slots[0] if slots else unknown,
                total_slots=len(slots),
                model_alias=model,
                model_path="" if found is None else found.facts.file,
                chat_template="" if found is None else found.template.chat_template,
                bos_token="" if found is None else found.template.bos_token or "",
                eos_token="" if found is None else found.template.eos_token or "",
                modalities=LlamaModalities(),
                build_info=f"rbee-{__version__}",
                is_sleeping=found is None,
            )
        )

    async def slots(self, request: web.Request, _: Nothing) -> web.Response:
        model = await self._model(request, None)
        found = await self._loaded.find(self._room.permitted(model), self._room.shows)
        body = msgspec.json.encode([] if found is None else _slots(found))
        return web.Response(body=body, content_type="application/json")

    async def complete(self, request: web.Request, asked: LlamaCompletion) -> web.StreamResponse:
        model = await self._model(request, asked.model)
        prompt = await server.unless_revoked(request, self._prompt(asked, model))
        task = completion.completion_task(asked, model, prompt)
        # Slots are not told apart here: requests for one find what its last one left in the cache.
        slot = asked.id_slot if asked.id_slot is not None else -1
        session = fields.session(request.headers, f"slot {slot}" if slot >= 0 else None)
        chunks = self._chunks(task, session, asked.model or model)
        if asked.stream:
            return await server.foreign_stream(request, chunks, _FORM)
        return json_reply(completion.gathered(await server.unless_revoked(request, whole(chunks))))

    async def infill(self, _: web.Request, __: Nothing) -> web.Response:
        message = "Filling in between two texts is not supported"
        raise InvalidRequest.of("path", "another route", message, "/infill")

    async def _model(self, request: web.Request, name: str | None) -> str:
        """The model that the body names, or the query."""
        return await self._room.model(name or request.query.get("model"))

    async def _prompt(self, asked: LlamaCompletion, model: str) -> str | list[int]:
        """As a task has it: texts and ids mixed become the ids of all."""
        prompt = completion.prompt_of(asked)
        if isinstance(prompt, str):
            return prompt
        ids = [each for each in prompt if isinstance(each, int)]
        if len(ids) == len(prompt):
            return ids
        if not ids and len(prompt) > 1:
            message = "Expected one prompt: send a request for each"
            raise InvalidRequest.of("prompt", "one prompt", message, len(prompt))
        wanted = convert({"content": prompt, "add_special": True}, TokenizeRequest)
        return (await self._room.tokens(wanted, model)).tokens

    async def _chunks(
        self, task: TaskRequest, session: str | None, name: str
    ) -> AsyncGenerator[LlamaAnswer, None]:
        stream = completion.CompletionStream(name, task)
        try:
            async with contextlib.aclosing(self._room.answers([task], session)) as events:
                async for _, event in events:
                    for chunk in stream.take(event):
                        yield chunk
        except RbeeError as error:
            raise completion.renamed(error) from None


def _slots(found: LoadedModel) -> list[LlamaSlot]:
    """The slots of all its workers; how many are busy is known, but not which."""
    states = [
        at < worker.slots_total - worker.slots_available
        for worker in found.workers
        for at in range(worker.slots_total)
    ]
    return [
        LlamaSlot(id=at, n_ctx=found.facts.context, is_processing=busy, params=_defaults())
        for at, busy in enumerate(states)
    ]


def _defaults() -> dict[str, object]:
    return completion.settings_of(TaskRequest(prompt="-"))


def _encoded(chunk: object) -> bytes:
    return b"data: %s\n\n" % msgspec.json.encode(refused(chunk, refusal))


# Its stream has no mark at the end: the last event has `stop`.
_FORM = StreamForm(_encoded, last=b"", opens_within_s=OPENS_WITHIN_S)
