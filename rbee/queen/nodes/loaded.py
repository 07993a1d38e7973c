"""What the workers that have a model in memory say of it. None is started for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.errors import RbeeError
from rbee.contract.texts import TemplateText
from rbee.contract.workers import ModelFacts, WorkerRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import Nodes

_WITHIN_S = 2.0
_IN_MEMORY = ("idle", "busy")


class LoadedModel(msgspec.Struct, frozen=True):
    """A model in memory: the workers that have it, and what the first of them says."""

    workers: list[WorkerRow]
    facts: ModelFacts
    template: TemplateText


class LoadedModels:
    """The models in memory, on all nodes."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def find(self, reference: str, shows: Callable[[str], bool]) -> LoadedModel | None:
        """The model of this reference, or one of this repository that may be shown; None if no
        worker has it in memory that answers within two seconds. The hives are not asked, nor is a
        node waited for."""
        found = [
            (hive, row)
            for hive in self._nodes.hives()
            for row in hive.seen_workers
            if row.state in _IN_MEMORY
            and (row.model_ref == reference or row.model_ref.startswith(f"{reference}/"))
            and shows(row.model_ref)
        ]
        if not found:
            return None
        hive, first = found[0]
        same = [row for _, row in found if row.model_ref == first.model_ref]
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await _ask(hive, first, same)
        except (RbeeError, TimeoutError):
            return None


async def _ask(hive: Hive, first: WorkerRow, same: list[WorkerRow]) -> LoadedModel:
    async with await hive.client_for(first.url) as client:
        facts = await client.call(ep.WORKER_MODEL)
        return LoadedModel(same, facts, await client.call(ep.WORKER_TEMPLATE))
