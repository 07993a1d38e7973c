"""The models of all nodes as the queen knows them, answered from memory.

A reader never waits for a node: it gets what was known last, and has it read again in the
background if that is old.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, TypeVar

import msgspec

from rbee.contract.errors import RbeeError
from rbee.contract.model_ref import DEFAULT
from rbee.contract.models import ModelCard, NodeModelCard, NodeModelRow, NodeModelRows
from rbee.contract.workers import WorkerRow
from rbee.runtime.concurrency import stop
from rbee.runtime.log import uncorrelated

R = TypeVar("R")

ModelState = Literal["loaded", "loading", "unloaded"]

_FRESH_S = 2.0
_log = logging.getLogger("queen-rbee")


class KnownModel(msgspec.Struct, frozen=True):
    """A model that is whole on some node, or in a worker's memory. `since` is when it was
    downloaded, in seconds since the epoch, 0 if that is not known. `card` is what its header tells,
    once a hive has told it; `nodes` are those that have the model."""

    reference: str
    state: ModelState
    since: int = 0
    card: ModelCard | None = None
    nodes: tuple[str, ...] = ()


class Catalog:
    """The one place that knows which models there are. `read_rows` asks the nodes, and starts this
    machine's hive; `read_cards` asks the hives that run then; `workers` are those that their hives
    have told."""

    def __init__(
        self,
        read_rows: Callable[[], Awaitable[NodeModelRows]],
        workers: Callable[[], Iterable[WorkerRow]],
        read_cards: Callable[[], Awaitable[list[NodeModelCard]]] | None = None,
    ) -> None:
        self._read_rows = read_rows
        self._read_cards = read_cards
        self._workers = workers
        self._rows: list[NodeModelRow] = []
        self._cards: list[NodeModelCard] = []
        self._on_disk = _OnDisk((), ())
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
        return self._on_disk.with_workers(self._workers())

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
        rows = await _asked(read_running)
        if rows is not None and self._read_at is None:
            self._told(rows.models, self._cards)
            await self._read_all_cards()

    async def _read(self) -> None:
        rows = await _asked(self._read_rows)
        if rows is not None:
            self._told(rows.models, self._cards)
        self._read_at = asyncio.get_running_loop().time()
        await self._read_all_cards()

    async def _read_all_cards(self) -> None:
        cards = None if self._read_cards is None else await _asked(self._read_cards)
        if cards is not None:
            self._told(self._rows, cards)

    def _told(self, rows: list[NodeModelRow], cards: list[NodeModelCard]) -> None:
        if (rows, cards) != (self._rows, self._cards):
            self._rows, self._cards = rows, cards
            self._on_disk = _OnDisk(rows, cards)


async def _asked(read: Callable[[], Awaitable[R]]) -> R | None:
    """None if the nodes can't be asked."""
    try:
        with contextlib.suppress(RbeeError):
            return await read()
    except Exception:
        _log.exception("the models of the nodes can't be read")
    return None


_NEARER: dict[str, ModelState] = {
    "idle": "loaded",
    "busy": "loaded",
    "loading": "loading",
}


def merged(
    rows: Iterable[NodeModelRow],
    workers: Iterable[WorkerRow],
    cards: Iterable[NodeModelCard] = (),
) -> list[KnownModel]:
    """Each model once, sorted by its reference. One that is loaded anywhere is loaded. The bundled
    model has a card only."""
    return _OnDisk(rows, cards).with_workers(workers)


class _OnDisk:
    """What the nodes have told, put together once for many readers: there may be thousands."""

    def __init__(self, rows: Iterable[NodeModelRow], cards: Iterable[NodeModelCard]) -> None:
        told: dict[str, ModelCard] = {}
        nodes: dict[str, set[str]] = {}
        for card in cards:
            told.setdefault(card.reference, card)
            nodes.setdefault(card.reference, set()).add(card.node)
        since: dict[str, int] = {}
        for row in rows:
            if row.state == "ready":
                since.setdefault(row.reference, row.downloaded_at_unix or 0)
                nodes.setdefault(row.reference, set()).add(row.node)
        known = {
            name: KnownModel(
                name, "unloaded", since.get(name, 0), told.get(name), tuple(sorted(at))
            )
            for name, at in sorted(nodes.items())
        }
        self._whole = {name: known[name] for name in known if name in since or name == DEFAULT}
        # Files elsewhere, which are told of because a worker has them.
        self._others = known

    def with_workers(self, workers: Iterable[WorkerRow]) -> list[KnownModel]:
        found = dict(self._whole)
        for worker in workers:
            name, state = worker.model_ref, _NEARER.get(worker.state)
            known = found.get(name) or self._others.get(name) or KnownModel(name, "unloaded")
            if state is not None and known.state != "loaded":
                found[name] = msgspec.structs.replace(known, state=state)
        return [found[reference] for reference in sorted(found)]
