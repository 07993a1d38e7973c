"""`rbee-keeper pool …`: older names, which also take a node's address for its name."""

from __future__ import annotations

from rbee.contract import endpoints as ep
from rbee.contract.registry import InstallNode
from rbee.keeper.commands import hive, models
from rbee.keeper.commands.node_tables import WORKER_HEADS, named, worker_cells
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import follow, with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen


async def health(settings: KeeperSettings, screen: Screen, host: str) -> int:
    """As `hive status --node`."""

    async def work(queen: Queen) -> int:
        node = await _node(queen, host)
        return hive.tell(screen, await hive.statuses(queen, node), of_one=True)

    return await with_queen(settings, screen, work)


async def listing(settings: KeeperSettings, screen: Screen, host: str) -> int:
    """As `models list --node`."""

    async def work(queen: Queen) -> None:
        await models.tell(queen, screen, await _node(queen, host))

    return await with_queen(settings, screen, work)


async def worker(settings: KeeperSettings, screen: Screen, host: str) -> int:
    """The workers of a node."""

    async def work(queen: Queen) -> None:
        found = await hive.of_node(queen, await _node(queen, host))
        rows = [worker_cells(row) for row in found.workers]
        screen.answer(found.workers, table(WORKER_HEADS, rows) if rows else "")
        if not rows:
            screen.note(f"No worker runs on {found.node}: its hive is {found.state}.")

    return await with_queen(settings, screen, work)


async def git(settings: KeeperSettings, screen: Screen, host: str) -> int:
    """As `setup install --node`."""

    async def work(queen: Queen) -> None:
        node = await _node(queen, host)
        await follow(queen, screen, ep.QUEEN_INSTALL, InstallNode(node_name=node))
        screen.say(f"rbee is installed on {node}.")

    return await with_queen(settings, screen, work)


async def _node(queen: Queen, host: str) -> str:
    return named((await queen.client.call(ep.QUEEN_NODES)).nodes, host)
