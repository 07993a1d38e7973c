"""The logs of nodes, read from their hives and followed for as long as somebody reads them."""

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
from rbee.queen.nodes.log_position import LogPosition
from rbee.queen.nodes.nodes import Nodes
from rbee.runtime.concurrency import stop
from rbee.runtime.event_queue import EventQueue, run_as_stream
from rbee.runtime.narration import Narrator

_QUEEN = "queen-rbee"
_AGAIN_S = 0.2
# How often to look for a hive that an operator may start again. On other machines, each look is a
# new connection.
_LOOK_HERE_EVERY_S, _LOOK_THERE_EVERY_S = 1.0, 5.0
_BROKEN = ConnectionTimeout, ShuttingDown, StreamTruncated


class NodeLogs:
    """The log of one node, or of all nodes whose hive runs."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def read(self, asked: LogQuery) -> AsyncIterator[Event | None]:
        """The last lines, and with `follow` every new line until the reader leaves, also those of
        the hive that replaces this one. Raises NODE_NOT_FOUND before the first event. Unless it
        follows: PROGRAM_FAILED if no hive runs, or the reason why a named node can't be asked."""
        hives = self._nodes.hives() if asked.node is None else [self._nodes.hive(asked.node)]
        return run_as_stream(partial(self._read, hives, asked))

    async def _read(self, hives: Sequence[Hive], asked: LogQuery, events: EventQueue) -> None:
        if asked.node is None:
            await self._nodes.discover()
        else:
            await _is_there(hives[0])
        there = [hive for hive in hives if hive.is_running]
        if not there and not asked.follow:
            trouble = hives[0].last_error if asked.node is not None else None
            raise trouble or _nobody(asked.node)
        if asked.follow and asked.node is None:
            await self._follow_all(asked.lines, not there, events)
        elif asked.follow:
            await _follow(hives[0], asked.lines, True, events)
        for hive in there:
            await _relay(hive, LogPosition(), asked.lines, False, events)

    async def _follow_all(self, lines: int, nobody: bool, events: EventQueue) -> None:
        """Follow each hive that runs now or later, and wait for the one of this machine."""
        followed: dict[Hive, asyncio.Task[None]] = {}
        try:
            while True:
                await self._nodes.discover(_LOOK_HERE_EVERY_S, wait_for_unreachable=False)
                hives = self._nodes.hives()
                for hive in hives:
                    if hive not in followed and (hive.is_running or hive.node == LOCAL):
                        follow = _follow(hive, lines, hive.is_running or nobody, events)
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


async def _follow(hive: Hive, lines: int, there: bool, events: EventQueue) -> None:
    """Follow one hive of the node after the other, without an end. `there` says whether a hive was
    expected: only then its absence is narrated."""
    say = Narrator(events.put_nowait, hive.node).say
    place = LogPosition()
    while True:
        if await _is_there(hive):
            if not there:
                say(_QUEEN, "📜", f"a hive runs on {hive.node}: its log goes on")
            there = True
            with contextlib.suppress(*_BROKEN):
                await _relay(hive, place, lines, True, events)
            await asyncio.sleep(_AGAIN_S)
        elif there:
            say(_QUEEN, "📜", f"no hive runs on {hive.node} now: its log goes on when one does")
            there = False
        else:
            await _wait_for(hive)


async def _relay(
    hive: Hive, place: LogPosition, lines: int, follow: bool, events: EventQueue
) -> None:
    """Relay one hive's log. A slow reader slows it down."""
    wanted = MOST_LINES if place.has_begun else max(lines, 1)
    # A reader that wants no old lines still needs a position to resume from.
    silent = lines == 0 and not place.has_begun
    names = {"follow": str(follow).lower(), "lines": str(wanted)}
    place.restart()
    # A client of its own: the hive's main client may be closed meanwhile.
    async with (
        hive.separate_client() as client,
        client.stream(ep.HIVE_LOGS, None, **names) as log,
    ):
        async for event in log:
            if not isinstance(event, LogLine) or not place.is_new(event):
                continue
            if not (silent and event.past):
                await events.put(msgspec.structs.replace(event, node=hive.node))


async def _is_there(hive: Hive) -> bool:
    return hive.is_running or await hive.discover()


async def _wait_for(hive: Hive) -> None:
    """Wait a while, or until somebody has started it."""
    pause = _LOOK_HERE_EVERY_S if hive.node == LOCAL else _LOOK_THERE_EVERY_S
    waited = 0.0
    while waited < pause and not hive.is_running:
        await asyncio.sleep(_AGAIN_S)
        waited += _AGAIN_S


def _nobody(node: str | None) -> ProgramFailed:
    flag = "NODE" if node is None else node
    return ProgramFailed(
        f"No hive runs on {node or 'any node'}, and it is the hive that tells its log.",
        program="rbee-hive",
        reason="none runs",
        hint=f"Start one: rbee-keeper hive start --node {flag}; "
        "what was logged before is in ~/.rbee/logs there.",
    )
