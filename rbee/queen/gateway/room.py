"""What every protocol needs of the queen: names of models, answers of several tasks as one stream,
and the list of models."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec
from msgspec.structs import replace

from rbee.contract import model_ref
from rbee.contract.config import ModelsSection
from rbee.contract.embeddings import EmbeddingReply, EmbeddingRequest, RerankReply, RerankRequest
from rbee.contract.errors import RbeeError
from rbee.contract.events import Done, Event, Token
from rbee.contract.quantization import of_file
from rbee.contract.tasks import TaskRequest
from rbee.contract.texts import DetokenizeRequest, PlainText, PromptText, TokenizeRequest, Tokens
from rbee.contract.workers import PromptReply
from rbee.queen.gateway.model_names import Names
from rbee.queen.keys.access import Access
from rbee.queen.nodes.catalog import KnownModel, ModelState
from rbee.queen.tasks.task import Answered, AtOnce, CountRequest, TextRequest, VectorRequest
from rbee.runtime.keyring import Caller, caller

# How long a name that is not known may wait for the nodes to be asked again.
_READ_WITHIN_S = 5.0
# The tasks of one request that run at the same time: as many as a worker has slots, usually.
_AT_ONCE = 4
_UNREAD = 64
_NEAREST: tuple[ModelState, ...] = ("loaded", "loading")


class Models(Protocol):
    """What is known of the models of all nodes."""

    def known(self) -> list[KnownModel]:
        """What is known at this moment, without waiting for a node."""

    async def read(self, within_s: float) -> None:
        """Ask the nodes once more, and wait for them so many seconds at most."""


class Tasks(Protocol):
    """What answers."""

    def stream(
        self, request: TaskRequest, caller: Caller, has_place: bool = False
    ) -> AsyncGenerator[Event, None]:
        """The events of a task; a reader that leaves cancels it."""

    def reserve(self, caller: Caller, most: int) -> AbstractContextManager[int]:
        """Keep places for tasks that `stream` begins later; how many may run at once. Raises
        TOO_MANY_REQUESTS."""

    async def ask(self, request: AtOnce, caller: Caller) -> Answered:
        """What a task without a stream is answered."""


class Room:
    """The queen, as a protocol of others sees it. Every call is on behalf of the client whose
    request is being answered (`rbee.runtime.keyring.caller`). `default` is the model of requests
    that name none."""

    def __init__(self, scheduler: Tasks, catalog: Models, models: ModelsSection) -> None:
        self._scheduler = scheduler
        self._catalog = catalog
        self.default = models.default or model_ref.DEFAULT
        self._aliases = models.aliases
        self._access = Access(models)
        self._last_names: dict[str, tuple[Caller, list[str], Names]] = {}

    def models(self) -> list[KnownModel]:
        """Every name that a list of models shows the client, from memory: the models of all nodes,
        then the aliases."""
        known, who = self._catalog.known(), caller.get()
        found = [*known, *_named(known, {**model_ref.ALIASES, **self._aliases})]
        if who.role == "manage":
            return found
        return [model for model in found if self._access.sees(who, model.reference)]

    async def read_models(self) -> None:
        """Have the nodes asked once more, and wait some seconds at most for what they tell."""
        await self._catalog.read(_READ_WITHIN_S)

    async def model(self, name: str | None) -> str:
        """The alias or reference that a client means; the default if it names none. Raises
        MODEL_NOT_FOUND, after the nodes were asked once more."""
        if not name:
            return self.default
        found = self._resolve(name)
        if found is None:
            await self._catalog.read(_READ_WITHIN_S)
            found = self._resolve(name)
        if found is None:
            raise self._names().not_found(name)
        return found

    def permitted(self, model: str) -> str:
        """The full reference of what `model` found. Raises MODEL_NOT_ALLOWED."""
        found = model_ref.parse(model, self._aliases)
        self._access.check(caller.get(), found, force=False)
        return str(found)

    def shows(self, model: str) -> bool:
        """Whether the client may see the model of this reference."""
        return self._access.sees(caller.get(), model)

    async def known_model(self, name: str) -> KnownModel:
        """The model that a client means. Raises MODEL_NOT_FOUND for one that no node has and no
        alias names, after the nodes were asked once more."""
        model = self._known(name)
        if model is None:
            await self._catalog.read(_READ_WITHIN_S)
            model = self._known(name)
        if model is None:
            raise self._names().not_found(name)
        return model

    def _known(self, name: str) -> KnownModel | None:
        found, models = self._resolve(name), self.models()
        if found is None:
            return None
        same = [model for model in models if model.reference == found]
        return next(iter(same or _meant(models, found)), None)

    async def answers(
        self, requests: Sequence[TaskRequest], session: str | None = None
    ) -> AsyncGenerator[tuple[int, Event], None]:
        """The events of the tasks, each with its task's place in `requests`. The first task reads
        its prompt before the others begin, which find it in the worker's cache; those of a
        `session` find what its last ones left there. Several tasks are refused before the first
        begins, if they are too many for the key. Raises the first error; a reader that leaves
        cancels all tasks."""
        if session is not None:
            requests = [replace(request, session=session) for request in requests]
        if len(requests) > 1:
            most = min(_AT_ONCE, len(requests))
            with self._scheduler.reserve(caller.get(), most) as places:
                async with contextlib.aclosing(self._merged(requests, places)) as merged:
                    async for each in merged:
                        yield each
            return
        stream = self._scheduler.stream(requests[0], caller.get())
        async with contextlib.aclosing(stream) as events:
            async for event in events:
                yield 0, event

    async def vectors(self, texts: EmbeddingRequest, model: str) -> EmbeddingReply:
        """The vectors of texts, by a task."""
        reply = await self._scheduler.ask(VectorRequest(texts=texts, model=model), caller.get())
        assert isinstance(reply, EmbeddingReply)
        return reply

    async def scores(self, texts: RerankRequest, model: str) -> RerankReply:
        """The scores of documents, by a task."""
        reply = await self._scheduler.ask(VectorRequest(texts=texts, model=model), caller.get())
        assert isinstance(reply, RerankReply)
        return reply

    async def tokens(self, asked: TokenizeRequest, model: str) -> Tokens:
        """The tokens of a text. The model is loaded if it must be, as for what follows."""
        reply = await self._scheduler.ask(TextRequest(asked=asked, model=model), caller.get())
        assert isinstance(reply, Tokens)
        return reply

    async def text(self, asked: DetokenizeRequest, model: str) -> str:
        """The text of some tokens."""
        reply = await self._scheduler.ask(TextRequest(asked=asked, model=model), caller.get())
        assert isinstance(reply, PlainText)
        return reply.content

    async def prompt(self, task: TaskRequest) -> str:
        """What the model's chat template writes of a task's conversation."""
        asked = TextRequest(asked=task.inference("prompt"), model=task.model)
        reply = await self._scheduler.ask(asked, caller.get())
        assert isinstance(reply, PromptText)
        return reply.prompt

    async def count(self, request: TaskRequest) -> int:
        """How many tokens the prompt of a task has: the model is loaded if it must be."""
        counted = CountRequest(**msgspec.structs.asdict(request))
        reply = await self._scheduler.ask(counted, caller.get())
        assert isinstance(reply, PromptReply)
        return reply.prompt_tokens

    def _resolve(self, name: str) -> str | None:
        return self._names().resolve(name)

    def _names(self) -> Names:
        """Made again only if other models are known. A client that may not see them all is not told
        their names."""
        known, who = [model.reference for model in self._catalog.known()], caller.get()
        last = self._last_names.get(who.name)
        if last is None or last[:2] != (who, known):
            found, aliases = known, {**model_ref.ALIASES, **self._aliases}
            if who.role != "manage":
                found = [name for name in known if self._access.sees(who, name)]
                aliases = {name: of for name, of in aliases.items() if self._access.sees(who, name)}
            last = self._last_names[who.name] = who, known, Names(found, aliases)
        return last[2]

    async def _merged(
        self, requests: Sequence[TaskRequest], count: int
    ) -> AsyncGenerator[tuple[int, Event], None]:
        queue: asyncio.Queue[tuple[int, Event | Exception | None]] = asyncio.Queue(_UNREAD)
        places = asyncio.Semaphore(count)
        has_read = asyncio.Event()

        async def run(index: int, request: TaskRequest) -> None:
            if index > 0:
                await has_read.wait()
            try:
                stream = self._scheduler.stream(request, caller.get(), has_place=True)
                async with places, contextlib.aclosing(stream) as events:
                    async for event in events:
                        if isinstance(event, Token | Done):
                            has_read.set()
                        await queue.put((index, event))
                await queue.put((index, None))
            except Exception as error:
                await queue.put((index, error))

        running = [asyncio.create_task(run(*each)) for each in enumerate(requests)]
        open_streams = len(requests)
        try:
            while open_streams:
                index, event = await queue.get()
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    open_streams -= 1
                else:
                    yield index, event
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)


def _named(known: Sequence[KnownModel], aliases: Mapping[str, str]) -> list[KnownModel]:
    """Each alias as a model of its own, with the state of what it stands for."""
    found = []
    for alias, reference in aliases.items():
        same = _meant(known, reference)
        states = {each.state for each in same}
        state: ModelState = next((each for each in _NEAREST if each in states), "unloaded")
        since = max((each.since for each in same), default=0)
        card, nodes = next(
            ((each.card, each.nodes) for each in same if each.state == state), (None, ())
        )
        found.append(KnownModel(alias, state, since, card, nodes))
    return found


def _meant(known: Sequence[KnownModel], reference: str) -> list[KnownModel]:
    """The models that a reference may mean: those of a repository, of one of its quantizations, or
    just one."""
    try:
        wanted = model_ref.parse(reference)
    except RbeeError:  # an alias that stands for nothing is told where it is used
        return []
    full = str(replace(wanted, quantization=None))
    if wanted.quantization is not None:
        quantization = wanted.quantization.upper()
        known = [model for model in known if of_file(model.reference) == quantization]
    return [
        model
        for model in known
        if model.reference == full or model.reference.startswith(f"{full}/")
    ]
