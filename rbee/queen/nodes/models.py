"""What people do with the models of a node; its hive does the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract import model_ref
from rbee.contract.errors import RbeeError
from rbee.contract.events import Download, Event
from rbee.contract.models import (
    Deleted,
    Disk,
    DownloadRequest,
    FoundRepositories,
    ModelDetails,
    ModelMetadata,
    ModelName,
    NodeDownload,
    NodeModel,
    NodeModelCard,
    NodeModelRow,
    NodeModelRows,
    NodeSearch,
    SearchModels,
)
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.error_names import named_as
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.hive_requests import fetch_model
from rbee.queen.nodes.node_wish import NodeWish, OnNode
from rbee.queen.nodes.nodes import Nodes
from rbee.runtime.concurrency import stop
from rbee.runtime.event_queue import EventQueue, run_as_stream
from rbee.runtime.narration import Narrator

# A stream that has nothing to say yet opens within so many seconds.
_OPENS_WITHIN_S = 10.0


class NodeModels:
    """The models of all nodes. Every method wakes the node and starts its hive, but `rows` wakes
    none and starts for all nodes only this machine's, and `running` none."""

    def __init__(self, nodes: Nodes, aliases: Mapping[str, str], on_node: OnNode) -> None:
        """`on_node` chooses the node of a download."""
        self._nodes = nodes
        self._aliases = aliases
        self._on_node = on_node

    async def rows(self, node: str | None) -> NodeModelRows:
        """The models of one node; without a name, of this machine and of every node whose hive
        runs. `notes` say what can't be listed."""
        if node is not None:
            return await self._of(self._nodes.hive(node))
        await self._nodes.discover()
        return await self._of_all(self._nodes.hives())

    async def running(self) -> NodeModelRows:
        """The models of the hives that run already. Starts none."""
        await self._nodes.discover()
        return await self._of_all([hive for hive in self._nodes.hives() if hive.is_running])

    async def cards(self) -> list[NodeModelCard]:
        """What the hives that run already tell of their models. One that does not answer hides
        no other."""
        asked = (_cards(hive) for hive in self._nodes.hives() if hive.is_running)
        return [card for part in await asyncio.gather(*asked) for card in part]

    async def metadata(self, asked: NodeModel) -> ModelMetadata:
        """The header of a model on the node. Raises MODEL_NOT_FOUND."""
        hive = await self._running(asked.node, EventQueue())
        with named_as(hive.node):
            return await hive.http.call(ep.HIVE_MODEL_METADATA, ModelName(asked.model))

    async def _of_all(self, hives: Iterable[Hive]) -> NodeModelRows:
        listed = await asyncio.gather(*(self._noted(hive) for hive in hives))
        return NodeModelRows(
            [row for part in listed for row in part.models],
            [disk for part in listed for disk in part.disks],
            [note for part in listed for note in part.notes],
        )

    async def info(self, asked: NodeModel) -> ModelDetails:
        hive = await self._running(asked.node, EventQueue())
        with named_as(hive.node):
            return await hive.http.call(ep.HIVE_MODEL_INFO, ModelName(asked.model))

    async def search(self, asked: NodeSearch) -> FoundRepositories:
        hive = await self._running(asked.node, EventQueue())
        wanted = SearchModels(asked.words, asked.limit)
        with named_as(hive.node):
            return await hive.http.call(ep.HIVE_MODEL_SEARCH, wanted)

    async def delete(self, asked: NodeModel) -> Deleted:
        hive = await self._running(asked.node, EventQueue())
        with named_as(hive.node):
            return await hive.http.call(ep.HIVE_MODEL_DELETE, ModelName(asked.model))

    async def verify(self, asked: NodeModel) -> AsyncIterator[Event | None]:
        """The hive's events. If the reader leaves, the work ends. While a node that sleeps is
        woken, the stream is open and has nothing to say."""
        waking = asyncio.create_task(self._running(asked.node, EventQueue()))
        try:
            if not (await asyncio.wait({waking}, timeout=_OPENS_WITHIN_S))[0]:
                yield None
            hive = await waking
        finally:
            await stop(waking)
        with named_as(hive.node):
            async with hive.http.stream(ep.HIVE_MODEL_VERIFY, ModelName(asked.model)) as events:
                async for event in events:
                    yield event

    def download(self, asked: NodeDownload) -> AsyncIterator[Event | None]:
        """Narration and progress, until the model is whole. If the reader leaves, the download
        ends, unless others wait for it or it is detached."""
        return run_as_stream(lambda events: self._download(asked, events))

    async def _download(self, asked: NodeDownload, events: EventQueue) -> None:
        if asked.node is not None:
            await _download_to(await self._running(asked.node, events), asked, events)
            return
        model = model_ref.parse(asked.model, self._aliases)

        async def work(hive: Hive) -> None:
            # What an alias means there is for that machine's config file to say.
            name = asked.model if hive.node == LOCAL else str(model)
            await _download_to(hive, msgspec.structs.replace(asked, model=name), events)

        wish = NodeWish(model=model, to_run=False, explain=asked.explain)
        await self._on_node(wish, events, work)

    async def _noted(self, hive: Hive) -> NodeModelRows:
        if hive.node != LOCAL and not hive.is_running:
            note = f"{hive.node} is not listed: no hive runs there. Ask it: --node {hive.node}"
            return NodeModelRows([], [], [note])
        try:
            return await self._of(hive)
        except RbeeError as error:
            if hive.node == LOCAL:
                raise
            return NodeModelRows([], [], [f"{hive.node} is not listed: {error.message}"])

    async def _of(self, hive: Hive) -> NodeModelRows:
        await hive.ensure_running(Narrator(lambda _: None, hive.node))
        listed = await hive.http.call(ep.HIVE_MODELS)
        rows = [
            NodeModelRow(node=hive.node, **msgspec.structs.asdict(row)) for row in listed.models
        ]
        sizes = listed.disk_total_bytes, listed.disk_free_bytes
        return NodeModelRows(rows, [Disk(hive.node, listed.folder, *sizes)], listed.notes)

    async def _running(self, node: str | None, events: EventQueue) -> Hive:
        hive = self._nodes.hive(node)
        await self._nodes.make_ready(hive, Narrator(events.put_nowait, hive.node))
        return hive


async def _download_to(hive: Hive, asked: NodeDownload, events: EventQueue) -> None:
    with named_as(hive.node):
        await hive.ensure_running(Narrator(events.put_nowait, hive.node))
        wanted = DownloadRequest(asked.model, detach=asked.detach)
        reply = await fetch_model(hive, wanted, events)
        if reply.local_path is not None:
            events.put_nowait(Download("complete", local_path=reply.local_path))


async def _cards(hive: Hive) -> list[NodeModelCard]:
    try:
        told = await hive.http.call(ep.HIVE_MODEL_CARDS)
    except RbeeError:
        return []
    return [NodeModelCard(node=hive.node, **msgspec.structs.asdict(card)) for card in told.models]
