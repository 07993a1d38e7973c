"""What people do with the models of a node: relayed to its hive, with what the hive tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.errors import RbeeError
from rbee.contract.events import Download, Event, Narration
from rbee.contract.models import (
    Deleted,
    Disk,
    DownloadRequest,
    ModelDetails,
    ModelName,
    NodeDownload,
    NodeModel,
    NodeModelRow,
    NodeModelRows,
)
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.error_names import with_node_name
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.provision import ASKED_WITHIN_S, provide
from rbee.runtime.cancellation import stop
from rbee.runtime.event_queue import Outlet, told
from rbee.runtime.log import correlation_id
from rbee.runtime.narration import Narrator


class NodeModels:
    """Starts the node's hive where none runs."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def rows(self, node: str | None) -> NodeModelRows:
        """The models of one node; where none is named, of this machine and of all nodes whose hive
        runs. What can't be listed is noted."""
        if node is not None:
            return await self._of(self._nodes.hive(node))
        await self._nodes.discover()
        listed = await asyncio.gather(*(self._noted(hive) for hive in self._nodes.hives()))
        return NodeModelRows(
            [row for part in listed for row in part.models],
            [disk for part in listed for disk in part.disks],
            [note for part in listed for note in part.notes],
        )

    async def info(self, asked: NodeModel) -> ModelDetails:
        hive = await self._up(asked.node, Outlet())
        name = ModelName(asked.model)
        return await hive.http.call(ep.HIVE_MODEL_INFO, name, within_s=ASKED_WITHIN_S)

    async def delete(self, asked: NodeModel) -> Deleted:
        hive = await self._up(asked.node, Outlet())
        name = ModelName(asked.model)
        return await hive.http.call(ep.HIVE_MODEL_DELETE, name, within_s=ASKED_WITHIN_S)

    async def verify(self, asked: NodeModel) -> AsyncIterator[Event | None]:
        """The hive's events. A reader that leaves ends the work."""
        hive = await self._up(asked.node, Outlet())
        async with hive.http.stream(ep.HIVE_MODEL_VERIFY, ModelName(asked.model)) as events:
            async for event in events:
                yield event

    def download(self, asked: NodeDownload) -> AsyncIterator[Event | None]:
        """What the hive tells, up to the whole model. A reader that leaves ends the download,
        unless others wait for it or it is detached."""
        return told(lambda outlet: self._download(asked, outlet))

    async def _download(self, asked: NodeDownload, outlet: Outlet) -> None:
        try:
            hive = await self._up(asked.node, outlet)
            say = Narrator(outlet.tell, hive.node).say
            with hive.events.listen() as coming:
                relay = asyncio.create_task(_relay(hive.node, coming, outlet))
                try:
                    wanted = DownloadRequest(asked.model, detach=asked.detach)
                    done = await provide(hive.http, wanted, outlet.tell, say)
                    if done.local_path is not None:
                        outlet.tell(Download("complete", local_path=done.local_path))
                finally:
                    await stop(relay)
        except RbeeError as error:
            raise with_node_name(error, asked.node or LOCAL) from None

    async def _noted(self, hive: Hive) -> NodeModelRows:
        if hive.node != LOCAL and not hive.is_running:
            told = f"{hive.node} is not listed: no hive runs there. Ask it: --node {hive.node}"
            return NodeModelRows([], [], [told])
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

    async def _up(self, node: str | None, outlet: Outlet) -> Hive:
        hive = self._nodes.hive(node)
        await hive.ensure_running(Narrator(outlet.tell, hive.node))
        return hive


async def _relay(node: str, coming: AsyncIterator[Event], outlet: Outlet) -> None:
    """Pass on what the hive tells of this request."""
    async for event in coming:
        if isinstance(event, Narration) and event.correlation_id == correlation_id.get():
            outlet.tell(msgspec.structs.replace(event, node=node))
