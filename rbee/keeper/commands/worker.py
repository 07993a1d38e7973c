"""`rbee-keeper worker start|stop|list|health`: workers by themselves, without a question."""

from __future__ import annotations

from rbee.contract import endpoints as ep
from rbee.contract.errors import StreamTruncated
from rbee.contract.workers import NodeWorkerRow, StartWorker, WorkerName
from rbee.keeper.commands.worker_tables import (
    HEALTH_HEADS,
    LIST_HEADS,
    are_healthy,
    health_cells,
    list_cells,
    started,
)
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import told, with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen

_UNHEALTHY = 1
# The queen asks all nodes at once, and each of their workers.
_LIST_WITHIN_S = 20.0
# The hive gives the worker its grace.
_END_WITHIN_S = 60.0


async def start(settings: KeeperSettings, screen: Screen, asked: StartWorker) -> int:
    """Start a worker, and wait until it has its model; from then on the queen lasts until she is
    told to stop."""

    async def work(queen: Queen) -> None:
        ready: NodeWorkerRow | None = None
        async for event in told(queen, screen, ep.QUEEN_WORKER_START, asked):
            if isinstance(event, NodeWorkerRow):
                ready = event
        screen.close()
        if ready is None:
            raise StreamTruncated("The start ended without a worker that is ready.", tokens=0)
        await queen.client.call(ep.QUEEN_KEEP)
        screen.result(started(ready))

    return await with_queen(settings, screen, work)


async def stop(settings: KeeperSettings, screen: Screen, asked: WorkerName) -> int:
    """End a worker in order; it is gone when this returns."""

    async def work(queen: Queen) -> None:
        done = await queen.client.call(ep.QUEEN_WORKER_SHUTDOWN, asked, within_s=_END_WITHIN_S)
        screen.answer(done, done.message)

    return await with_queen(settings, screen, work)


async def listing(settings: KeeperSettings, screen: Screen, node: str | None) -> int:
    """The workers of all nodes, or of one."""

    async def work(queen: Queen) -> None:
        call = queen.client.call(ep.QUEEN_WORKERS, None, within_s=_LIST_WITHIN_S, **_named(node))
        rows = (await call).workers
        screen.answer(rows, table(LIST_HEADS, [list_cells(row) for row in rows]) if rows else "")
        if not rows:
            screen.note(_none(node))

    return await with_queen(settings, screen, work)


async def health(settings: KeeperSettings, screen: Screen, node: str | None) -> int:
    """Every worker as it answers now; 1 unless all of them are healthy."""

    async def work(queen: Queen) -> int:
        asked = ep.QUEEN_WORKER_HEALTH
        call = queen.client.call(asked, None, within_s=_LIST_WITHIN_S, **_named(node))
        found = (await call).workers
        rows = [health_cells(check) for check in found]
        screen.answer(found, table(HEALTH_HEADS, rows) if rows else "")
        if not rows:
            screen.note(_none(node))
        return 0 if are_healthy(found) else _UNHEALTHY

    return await with_queen(settings, screen, work)


def _named(node: str | None) -> dict[str, str]:
    return {} if node is None else {"node": node}


def _none(node: str | None) -> str:
    where, flag = ("", "") if node is None else (f" on {node}", f" --node {node}")
    return f"No worker runs{where}. Start one: rbee-keeper worker start{flag} --model MODEL"
