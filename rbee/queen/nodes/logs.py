"""The logs of nodes: their hives' words, for as long as somebody reads them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.errors import (
    ConnectionTimeout,
    ProgramFailed,
    ShuttingDown,
    StreamTruncated,
)
from rbee.contract.events import Event
from rbee.contract.logs import MOST_LINES, LogLine, LogQuery
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.log_position import LogPlace
from rbee.queen.nodes.nodes import Nodes
from rbee.runtime.cancellation import stop
from rbee.runtime.event_queue import Outlet, told
from rbee.runtime.narration import Narrator

_QUEEN = "queen-rbee"
_AGAIN_S = 0.2
# A hive that an operator starts again is looked for: here, and on other machines, where it is a
# connection each time.
_LOOK_HERE_EVERY_S, _LOOK_THERE_EVERY_S = 1.0, 5.0
_BROKEN = ConnectionTimeout, ShuttingDown, StreamTruncated


class NodeLogs:
    """Of one node, or of all that a hive runs on."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def read(self, asked: LogQuery) -> AsyncIterator[Event | None]:
        """The last lines, and with `follow` those that are written, until the reader leaves: also
        those of the hive that comes after this one. Raises NODE_NOT_FOUND before the first event,
        and as an event PROGRAM_FAILED where no hive runs, or why a named node's can't be asked,
        unless it is followed."""
        hives = self._nodes.hives() if asked.node is None else [self._nodes.hive(asked.node)]
        return told(partial(self._read, hives, asked))

    async def _read(self, hives: Sequence[Hive], asked: LogQuery, outlet: Outlet) -> None:
        if asked.node is None:
            await self._nodes.discover()
        else:
            await _is_there(hives[0])
        there = [hive for hive in hives if hive.is_running]
        if not there and not asked.follow:
            trouble = hives[0].last_error if asked.node is not None else None
            raise trouble or _nobody(asked.node)
        if asked.follow and asked.node is None:
            await self._follow_all(asked.lines, not there, outlet)
        elif asked.follow:
            await _follow(hives[0], asked.lines, True, outlet)
        for hive in there:
            await _relay(hive, LogPlace(), asked.lines, False, outlet)

    async def _follow_all(self, lines: int, nobody: bool, outlet: Outlet) -> None:
        """Each hive that runs now or later, and this machine's, which is waited for."""
        followed: dict[Hive, asyncio.Task[None]] = {}
        try:
            while True:
                await self._nodes.discover(_LOOK_HERE_EVERY_S, wait_for_unreachable=False)
                hives = self._nodes.hives()
                for hive in hives:
                    if hive not in followed and (hive.is_running or hive.node == LOCAL):
                        follow = _follow(hive, lines, hive.is_running or nobody, outlet)
                        followed[hive] = asyncio.create_task(follow)
                for removed in followed.keys() - set(hives):
                    await stop(followed.pop(removed))
                ended, _ = await asyncio.wait(
                    followed.values(),
                    timeout=_LOOK_HERE_EVERY_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in ended:
                    task.result()
        finally:
            await asyncio.gather(*(stop(task) for task in followed.values()))


async def _follow(hive: Hive, lines: int, there: bool, outlet: Outlet) -> None:
    """Without an end: from one hive of the node to the next. Unless it was thought to be `there`,
    nothing is said of its not being there."""
    say = Narrator(outlet.tell, hive.node).say
    place = LogPlace()
    while True:
        if await _is_there(hive):
            if not there:
                say(_QUEEN, "📜", f"a hive runs on {hive.node}: its log goes on")
            there = True
            with contextlib.suppress(*_BROKEN):
                await _relay(hive, place, lines, True, outlet)
            await asyncio.sleep(_AGAIN_S)
        elif there:
            told = f"no hive runs on {hive.node} now: its log goes on when one does"
            say(_QUEEN, "📜", told)
            there = False
        else:
            await _wait_for(hive)


async def _relay(hive: Hive, place: LogPlace, lines: int, follow: bool, outlet: Outlet) -> None:
    """One hive's log. A reader that is slow holds it up."""
    wanted = MOST_LINES if place.has_begun else max(lines, 1)
    # Also for somebody who wants none of the past the place must be known.
    silent = lines == 0 and not place.has_begun
    names = {"follow": str(follow).lower(), "lines": str(wanted)}
    place.begin_again()
    # A client of its own: those that the hive is asked with may be closed meanwhile.
    async with (
        hive.separate_client() as client,
        client.stream(ep.HIVE_LOGS, None, **names) as events,
    ):
        async for event in events:
            if not isinstance(event, LogLine) or not place.is_news(event):
                continue
            if not (silent and event.past):
                await outlet.send(msgspec.structs.replace(event, node=hive.node))


async def _is_there(hive: Hive) -> bool:
    return hive.is_running or await hive.discover()


async def _wait_for(hive: Hive) -> None:
    """A while, or until somebody has started it."""
    pause = _LOOK_HERE_EVERY_S if hive.node == LOCAL else _LOOK_THERE_EVERY_S
    waited = 0.0
    while waited < pause and not hive.is_running:
        await asyncio.sleep(_AGAIN_S)
        waited += _AGAIN_S


def _nobody(node: str | None) -> ProgramFailed:
    flag = "NODE" if node is None else node
    told = f"No hive runs on {node or 'any node'}, and it is the hive that tells its log."
    return ProgramFailed(
        told,
        program="rbee-hive",
        reason="none runs",
        hint=f"Start one: rbee-keeper hive start --node {flag}; "
        "what was logged before is in ~/.rbee/logs there.",
    )
