"""`rbee-keeper hive start|stop|status`: the hives, one on each node."""

from __future__ import annotations

from rbee.contract import endpoints as ep
from rbee.contract.errors import ConnectionTimeout, NodeNotFound, ProgramFailed
from rbee.contract.registry import HiveNode, HiveStatus
from rbee.keeper.commands.node_tables import HIVE_HEADS, hive_cells
from rbee.keeper.session.queen import PROGRAM, Queen
from rbee.keeper.session.session import follow, with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.listings import table
from rbee.runtime.screen import Screen

_HIVE = "rbee-hive"
_NOT_RUNNING = 1
# The queen asks all nodes at once, and gives each its three attempts.
_WITHIN_S = 60.0


async def start(settings: KeeperSettings, screen: Screen, asked: HiveNode) -> int:
    """Start a node's hive; once it runs, the queen lasts until she is told to stop."""

    async def work(queen: Queen) -> None:
        await follow(queen, screen, ep.QUEEN_HIVE_START, asked)
        hive = await of_node(queen, asked.node)
        if hive.state != "running":
            raise ProgramFailed(program=_HIVE, reason=hive.error or f"it is {hive.state}")
        await queen.client.call(ep.QUEEN_KEEP)
        screen.say(f"{_HIVE} runs on {hive.node}: {hive.url}")

    return await with_queen(settings, screen, work)


async def stop(settings: KeeperSettings, screen: Screen, asked: HiveNode) -> int:
    """End a node's hive and its workers; 1 where nobody can tell whether one runs."""

    async def work(queen: Queen) -> None:
        hive = await of_node(queen, asked.node)
        if hive.state == "stopped":
            screen.say(f"No hive runs on {hive.node}.")
            return
        # Also where it does not answer: the queen can end one of hers that hangs.
        await follow(queen, screen, ep.QUEEN_HIVE_STOP, asked)
        now = await of_node(queen, asked.node)
        if now.state == "unreachable":
            raise _out_of_reach(now)
        if now.state != "stopped":
            told = f"The hive on {now.node} was told to end and is {now.state} at {now.url}."
            raise ProgramFailed(told, program=_HIVE, reason="it does not end")
        ran = hive.state in ("running", "draining")
        screen.say(f"The hive on {now.node} has ended." if ran else f"No hive runs on {now.node}.")

    return await with_queen(settings, screen, work)


async def status(settings: KeeperSettings, screen: Screen, node: str | None) -> int:
    """Every node's hive, or one node's: then 1 unless it runs."""

    async def work(queen: Queen) -> int:
        return tell(screen, await statuses(queen, node), of_one=node is not None)

    return await with_queen(settings, screen, work)


async def of_node(queen: Queen, node: str) -> HiveStatus:
    """The hive of one node. Raises NODE_NOT_FOUND."""
    found = await statuses(queen, node)
    if not found:
        raise NodeNotFound(node=node)
    return found[0]


async def statuses(queen: Queen, node: str | None) -> list[HiveStatus]:
    """The hive of `node`, or those of all nodes. Raises NODE_NOT_FOUND."""
    names = {} if node is None else {"node": node}
    return (await queen.client.call(ep.QUEEN_HIVES, None, within_s=_WITHIN_S, **names)).hives


def tell(screen: Screen, hives: list[HiveStatus], of_one: bool) -> int:
    """Show them; the exit code."""
    screen.answer(hives, table(HIVE_HEADS, [hive_cells(hive) for hive in hives]))
    for hive in hives:
        if hive.error:
            screen.note(f"[{PROGRAM}] ⚠️ {hive.node}: {hive.error}")
    runs = all(hive.state == "running" for hive in hives)
    return 0 if runs or not of_one else _NOT_RUNNING


def _out_of_reach(hive: HiveStatus) -> ConnectionTimeout:
    node = hive.node
    told = f"Whether a hive runs on {node} is not known: {hive.error or 'it does not answer.'}"
    return ConnectionTimeout(told, host=node, port=None, attempts=1, node=node)
