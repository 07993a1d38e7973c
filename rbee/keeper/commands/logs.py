"""`rbee-keeper logs`: what the programs of a node write."""

from __future__ import annotations

import asyncio

from rbee.contract import endpoints as ep
from rbee.contract.errors import ShuttingDown
from rbee.contract.logs import LogLine, LogQuery
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.command import INTERRUPTED
from rbee.runtime.log import escape_controls
from rbee.runtime.screen import Screen


async def logs(settings: KeeperSettings, screen: Screen, asked: LogQuery) -> int:
    """Line by line; with `follow` until Ctrl+C."""
    names = {"follow": str(asked.follow).lower(), "lines": str(asked.lines)}
    if asked.node is not None:
        names["node"] = asked.node

    async def show(queen: Queen) -> None:
        async with queen.client.stream(ep.QUEEN_LOGS, None, **names) as events:
            async for event in events:
                screen.show(event)
                if isinstance(event, LogLine):
                    screen.result(_told(event, of_one=asked.node is not None))
        if asked.follow:
            raise ShuttingDown("The queen has ended, and the log with her.")

    async def work(queen: Queen) -> int:
        try:
            await show(queen)
        except asyncio.CancelledError:  # which is how one leaves a log: nothing to tell
            return INTERRUPTED
        return 0

    return await with_queen(settings, screen, work)


def _told(line: LogLine, of_one: bool) -> str:
    source = line.source if of_one or line.node is None else f"{line.node}/{line.source}"
    return f"{source} | {escape_controls(line.line)}"
