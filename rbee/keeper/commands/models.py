"""`rbee-keeper models …`: what is on a node, and what shall be there."""

from __future__ import annotations

from rbee.contract import endpoints as ep
from rbee.contract.errors import StreamTruncated
from rbee.contract.events import Download, Verify
from rbee.contract.models import (
    Disk,
    NodeDownload,
    NodeModel,
    NodeModelRows,
)
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import told, with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.listings import MODEL_HEADS, described, megabytes, model_cells, table, usage
from rbee.runtime.screen import Screen

# The Hub may be asked six times, and a large model be removed from a slow disk.
_WITHIN_S = 200.0


async def download(settings: KeeperSettings, screen: Screen, asked: NodeDownload) -> int:
    """Fetch a model; its path is what is said. Detached, a queen that lasts goes on with it."""

    async def work(queen: Queen) -> None:
        path = None
        async for event in told(queen, screen, ep.QUEEN_DOWNLOAD, asked):
            if isinstance(event, Download) and event.stage == "complete":
                path = event.local_path
        screen.close()
        if path is not None:
            screen.result(path)
        elif asked.detach:
            screen.note("It goes on by itself; see how far it is: rbee-keeper models list")
        else:
            raise StreamTruncated("The download ended without its end being told.", tokens=0)

    return await with_queen(settings, screen, work, keep=asked.detach)


async def listing(settings: KeeperSettings, screen: Screen, node: str | None) -> int:
    """Every model, whole or not."""

    async def work(queen: Queen) -> None:
        await tell(queen, screen, node)

    return await with_queen(settings, screen, work)


async def tell(queen: Queen, screen: Screen, node: str | None) -> None:
    """Ask for the models of a node, or of all, and show them."""
    found = await _listed(queen, screen, node)
    several = len(found.disks) > 1
    heads = ["NODE"] * several + [*MODEL_HEADS]
    rows = [[*[row.node] * several, *model_cells(row)] for row in found.models]
    screen.answer(found.models, table(heads, rows) if rows else "")
    if not rows:
        screen.note("No models are here yet. Fetch one: rbee-keeper models download MODEL")


async def disk_usage(settings: KeeperSettings, screen: Screen, node: str | None) -> int:
    """What the models take, the largest first, and what is free."""

    async def work(queen: Queen) -> None:
        found = await _listed(queen, screen, node)
        screen.answer(found, "\n".join(_usage(found, disk) for disk in found.disks))

    return await with_queen(settings, screen, work)


async def info(settings: KeeperSettings, screen: Screen, asked: NodeModel) -> int:
    """What is known of one model, on the node or on the Hub."""

    async def work(queen: Queen) -> None:
        found = await queen.client.call(ep.QUEEN_MODEL_INFO, asked, within_s=_WITHIN_S)
        screen.answer(found, described(found, "rbee-keeper models verify"))

    return await with_queen(settings, screen, work)


async def verify(settings: KeeperSettings, screen: Screen, asked: NodeModel) -> int:
    """Whether its files are what the Hub sent."""

    async def work(queen: Queen) -> None:
        done: Verify | None = None
        async for event in told(queen, screen, ep.QUEEN_MODEL_VERIFY, asked):
            if isinstance(event, Verify) and event.stage == "complete":
                done = event
        screen.close()
        if done is None:
            raise StreamTruncated("The verification ended without its result.", tokens=0)
        sums = ", ".join(done.sha256 or [])
        known = "is whole" if done.compared else "had no known hash to compare with"
        screen.result(f"{asked.model} {known}: sha256 {sums}")

    return await with_queen(settings, screen, work)


async def delete(settings: KeeperSettings, screen: Screen, asked: NodeModel) -> int:
    """Remove it from the node."""

    async def work(queen: Queen) -> None:
        done = await queen.client.call(ep.QUEEN_MODEL_DELETE, asked, within_s=_WITHIN_S)
        screen.answer(done, done.message)

    return await with_queen(settings, screen, work)


async def _listed(queen: Queen, screen: Screen, node: str | None) -> NodeModelRows:
    names = {} if node is None else {"node": node}
    found = await queen.client.call(ep.QUEEN_MODELS, None, within_s=_WITHIN_S, **names)
    for note in found.notes:
        screen.note(f"[model-provisioner] ⚠️ {note}")
    return found


def _usage(found: NodeModelRows, disk: Disk) -> str:
    rows = [row for row in found.models if row.node == disk.node]
    free, total = megabytes(disk.disk_free_bytes), megabytes(disk.disk_total_bytes)
    return f"{usage(rows)}\n{disk.node}: {free} of {total} are free at {disk.folder}"
