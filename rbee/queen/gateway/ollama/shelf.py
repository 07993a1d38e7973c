"""The models of all nodes, as Ollama's clients ask for them: by their names, listed, shown, pulled,
deleted, and taken out of memory."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from rbee.contract.daemons import Ack
from rbee.contract.errors import InvalidRequest, ModelNotFound, WrongRole
from rbee.contract.events import Event
from rbee.contract.models import Deleted, ModelMetadata, NodeDownload, NodeModel
from rbee.contract.ollama import (
    ModelAsked,
    OllamaAsked,
    OllamaModels,
    OllamaProcesses,
    OllamaProgress,
    OllamaPull,
    OllamaShown,
)
from rbee.contract.workers import LoadedModel
from rbee.queen.gateway.ollama import listing
from rbee.queen.gateway.ollama.asked import load_task
from rbee.queen.gateway.ollama.download import progress
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import KnownModel
from rbee.runtime.keyring import caller

# How Ollama names what comes from the Hub.
_HUB = ("hf.co/", "huggingface.co/")
_REMEMBERED = 1000


class Models(Protocol):
    """The models on the nodes' disks."""

    async def metadata(self, asked: NodeModel) -> ModelMetadata:
        """The header of a model."""

    async def delete(self, asked: NodeModel) -> Deleted:
        """Remove a model's files."""

    def download(self, asked: NodeDownload) -> AsyncIterator[Event | None]:
        """The progress of a download."""


class Workers(Protocol):
    """The models in the nodes' memory."""

    async def loaded(self) -> list[LoadedModel]:
        """What every worker has, as the hives tell at this moment."""

    async def shutdown(self, name: str) -> Ack:
        """End one worker."""


class Shelf:
    """Every call is on behalf of the client whose request is being answered."""

    def __init__(self, room: Room, models: Models, workers: Workers) -> None:
        self._room = room
        self._models = models
        self._workers = workers
        self._called: OrderedDict[str, str] = OrderedDict()
        self._last: tuple[list[KnownModel], OllamaModels] = [], OllamaModels([])

    # Names

    def plain(self, name: str | None) -> str | None:
        """The name without the host that Ollama has before what comes from the Hub."""
        prefix = next((each for each in _HUB if (name or "").lower().startswith(each)), "")
        return f"hf:{name[len(prefix) :]}" if name and prefix else name

    def name(self, asked: str | None) -> str:
        """What an answer calls its model: as the request did."""
        return asked or self._room.default

    def remember(self, reference: str, name: str | None) -> None:
        """A request for `name` was given to a worker that has `reference`."""
        if name:
            self._called[reference] = name
            self._called.move_to_end(reference)
        while len(self._called) > _REMEMBERED:
            self._called.popitem(last=False)

    # Lists

    async def tags(self) -> OllamaModels:
        """The models on all nodes, from memory. As long as nothing is known, as just after the
        queen's start, the nodes are waited for: clients list once."""
        found = self._listed()
        if not found.models:
            await self._room.read_models()
            found = self._listed()
        return found

    def _listed(self) -> OllamaModels:
        """Written anew only if other models are known than the last time."""
        models = self._room.models()
        if models != self._last[0]:
            self._last = models, listing.tags(models)
        return self._last[1]

    async def processes(self) -> OllamaProcesses:
        """The models in memory."""
        loaded = await self._workers.loaded()
        return listing.processes(loaded, self._room.models(), self._called)

    async def shown(self, asked: ModelAsked) -> OllamaShown:
        """All that is known of a model. Raises MODEL_NOT_FOUND if no node has it."""
        model = await self._known(asked)
        if model.card is None:
            raise _not_there(asked)
        named = NodeModel(model.card.reference, next(iter(model.nodes), None))
        return listing.shown(model.card, await self._models.metadata(named))

    # Changes

    async def pull(self, asked: OllamaPull) -> AsyncGenerator[OllamaProgress, None]:
        """The steps of a download to the node that would run it, the last of them a success."""
        model = await self._room.model(self.plain(named(asked.asked)))
        events = self._models.download(NodeDownload(model))
        async with contextlib.aclosing(progress(events, model)) as steps:
            async for step in steps:
                if step.status == "success":
                    await self._room.read_models()  # clients list the models next
                yield step

    async def delete(self, asked: ModelAsked) -> None:
        """Delete a model from every node that has it. Raises MODEL_NOT_FOUND and MODEL_IN_USE."""
        model = await self._known(asked)
        if not model.nodes:
            raise _not_there(asked)
        reference = model.card.reference if model.card is not None else model.reference
        for node in model.nodes:
            await self._models.delete(NodeModel(reference, node))
        await self._room.read_models()  # clients list the models next

    async def unload(self, asked: OllamaAsked) -> None:
        """Take a model out of memory: at once where nobody uses it, and else as soon as its answers
        have ended. Raises MODEL_NOT_FOUND, and WRONG_ROLE: others may use it."""
        who = caller.get()
        if who.role != "manage":
            raise WrongRole(key=who.name, role=who.role, required="manage")
        name = self.plain(asked.model)
        model = await self._room.known_model(name or await self._room.model(None))
        reference = model.card.reference if model.card is not None else model.reference
        loaded = [each for each in await self._workers.loaded() if each.model_ref == reference]
        for each in loaded:
            if each.state != "busy":
                await self._workers.shutdown(each.worker_id)
        if any(each.state == "busy" for each in loaded):
            async for _ in self._room.answers([load_task(asked, reference)]):
                pass

    async def _known(self, asked: ModelAsked) -> KnownModel:
        name = self.plain(named(asked.asked)) or ""
        model = await self._room.known_model(name)
        if model.card is None:  # an alias, maybe of something that has come meanwhile
            await self._room.read_models()
            model = await self._room.known_model(name)
        return model


def named(name: str | None) -> str:
    """The name, for a request about a model. Raises INVALID_REQUEST if there is none."""
    if not name:
        raise InvalidRequest.of("model", "the name of a model", "Expected the name of a model")
    return name


def _not_there(asked: ModelAsked) -> ModelNotFound:
    message = f"{asked.asked} is not on any node that is known."
    hint = f"Pull it first: rbee-keeper models download {asked.asked}"
    return ModelNotFound(message, model=asked.asked, near=[], hint=hint)
