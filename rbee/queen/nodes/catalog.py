"""The models of all nodes as the queen knows them, answered from memory.

A reader never waits for a node: it gets what was known last, and has it read again in the
background if that is old.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

import msgspec

from rbee.contract.errors import RbeeError
from rbee.contract.models import NodeModelRow, NodeModelRows
from rbee.contract.workers import WorkerRow
from rbee.runtime.concurrency import stop
from rbee.runtime.log import uncorrelated

ModelState = Literal["loaded", "loading", "unloaded"]

_FRESH_S = 2.0
_log = logging.getLogger("queen-rbee")


class KnownModel(msgspec.Struct, frozen=True):
    """A model that is whole on some node, or in a worker's memory. `since` is when it was
    downloaded, in seconds since the epoch, 0 if that is not known."""

    reference: str
    state: ModelState
    since: int = 0


class Catalog:
    """The one place that knows which models there are. `read_rows` asks the nodes, and starts this
    machine's hive; `workers` are those that their hives have told."""

    def __init__(
        self,
        read_rows: Callable[[], Awaitable[NodeModelRows]],
        workers: Callable[[], Iterable[WorkerRow]],
    ) -> None:
        self._read_rows = read_rows
        self._workers = workers
        self._rows: list[NodeModelRow] = []
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._beginning: asyncio.Task[None] | None = None

    def begin(self, read_running: Callable[[], Awaitable[NodeModelRows]]) -> None:
        """Know in a moment what the hives have that run already, which `read_running` asks, and
        wait for nothing. The first reader has all of them asked."""
        self._beginning = asyncio.create_task(self._begin(read_running), context=uncorrelated())

    def known(self) -> list[KnownModel]:
        """What is known at this moment, by reference."""
        now = asyncio.get_running_loop().time()
        if self._read_at is None or now - self._read_at > _FRESH_S:
            self._refresh()
        return merged(self._rows, self._workers())

    async def read(self, within_s: float) -> None:
        """Wait until it has been read once more, but no longer than `within_s` seconds. Starts
        this machine's hive."""
        await asyncio.wait({self._refresh()}, timeout=within_s)

    async def close(self) -> None:
        """Read no more."""
        for task in (self._beginning, self._reading):
            if task is not None:
                await stop(task)

    def _refresh(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), context=uncorrelated())
        return self._reading

    async def _begin(self, read_running: Callable[[], Awaitable[NodeModelRows]]) -> None:
        rows = await self._asked(read_running)
        if rows is not None and self._read_at is None:
            self._rows = rows

    async def _read(self) -> None:
        rows = await self._asked(self._read_rows)
        if rows is not None:
            self._rows = rows
        self._read_at = asyncio.get_running_loop().time()

    async def _asked(
        self, read: Callable[[], Awaitable[NodeModelRows]]
    ) -> list[NodeModelRow] | None:
        try:
            with contextlib.suppress(RbeeError):
                return (await read()).models
        except Exception:
            _log.exception("the models of the nodes can't be read")
        return None


_NEARER: dict[str, ModelState] = {
    "idle": "loaded",
    "busy": "loaded",
    "loading": "loading",
}


def merged(rows: Iterable[NodeModelRow], workers: Iterable[WorkerRow]) -> list[KnownModel]:
    """Each model once, sorted by its reference. One that is loaded anywhere is loaded."""
    found: dict[str, KnownModel] = {}
    for row in rows:
        if row.state == "ready" and row.reference not in found:
            since = row.downloaded_at_unix or 0
            found[row.reference] = KnownModel(row.reference, "unloaded", since)
    for worker in workers:
        state = _NEARER.get(worker.state)
        known = found.get(worker.model_ref, KnownModel(worker.model_ref, "unloaded"))
        if state is not None and known.state != "loaded":
            found[worker.model_ref] = msgspec.structs.replace(known, state=state)
    return [found[reference] for reference in sorted(found)]
