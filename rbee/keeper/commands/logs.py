"""`rbee-keeper logs`: what the programs of a node write."""

from __future__ import annotations

import asyncio

from rbee.contract import endpoints as ep
from rbee.contract.errors import ShuttingDown
from rbee.contract.logs import LogLine, LogQuery
from rbee.keeper.commands.runner import queen_request
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import of_the_known_nodes
from rbee.runtime.leave import INTERRUPTED
from rbee.runtime.screen import Screen


@queen_request(LogQuery)
async def logs(queen: Queen, screen: Screen, query: LogQuery) -> int:
    """Show it line by line; with `follow` until Ctrl+C."""
    names = {"follow": str(query.follow).lower(), "lines": str(query.lines)}
    if query.node is not None:
        names["node"] = query.node
    try:
        with of_the_known_nodes():
            async with queen.client.stream(ep.QUEEN_LOGS, None, **names) as events:
                async for event in events:
                    screen.show(event)
                    if isinstance(event, LogLine):
                        screen.result(_line(event, of_one=query.node is not None))
    except asyncio.CancelledError:  # Ctrl+C is how a person leaves a log
        return INTERRUPTED
    if query.follow:
        raise ShuttingDown("The queen has ended, and the log with it.")
    return 0


def _line(line: LogLine, of_one: bool) -> str:
    source = line.source if of_one or line.node is None else f"{line.node}/{line.source}"
    return f"{source} | {line.line}"
