"""`rbee-keeper daemon start|stop|status`: a queen that keeps running."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.daemons import QueenHealth
from rbee.contract.errors import AddressInUse, ConnectionTimeout, RbeeError, ShuttingDown
from rbee.contract.events import Event, Narration
from rbee.contract.nodes import HiveGone
from rbee.contract.workers import NodeWorkerRow, WorkerGone
from rbee.keeper.commands.runner import command
from rbee.keeper.session.queen import PROGRAM, Queen, end_unresponsive, find_unresponsive
from rbee.keeper.settings import KeeperSettings, is_exposed
from rbee.runtime import paths, safe_text
from rbee.runtime.concurrency import stop as end_task
from rbee.runtime.screen import Screen

_LIST_WITHIN_S = 6.0
_SHUTDOWN_WITHIN_S = 30.0  # a person waits for it, and the machine may be busy
_LAST_EVENTS_WITHIN_S = 1.0
_ANOMALIES = {
    "killed": "it did not end in time and was killed",
    "lost": "the connection to it was lost; it ends by itself",
    "left": "it was started by someone else and keeps running",
}


class QueenStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `daemon status --json` prints; `queen` is null when none runs."""

    url: str
    queen: QueenHealth | None = None
    workers: list[NodeWorkerRow] = []


@command
async def start(settings: KeeperSettings, screen: Screen) -> None:
    """Start a queen that keeps running, or keep the one that runs."""
    queen = Queen(settings)
    try:
        await queen.reach(keep=True)
        health = await queen.client.call(ep.QUEEN_HEALTH, within_s=30)
        what = "started" if queen.started_here else "running already"
        screen.say(f"queen-rbee {what}: {queen.client.url}, pid {health.pid}")
        if is_exposed(queen.client.url):
            screen.note(
                f"[{PROGRAM}] ⚠️ UNENCRYPTED: keys and prompts that are sent there can be read on "
                "the network. Set up HTTPS: rbee-keeper auth certificate"
            )
    finally:
        await queen.release()


@command
async def serve(settings: KeeperSettings, screen: Screen) -> None:
    """Become a queen, which ends as any does that a person starts."""
    words = paths.program(PROGRAM, settings.config.queen.command)
    os.execvp(words[0], [*words, "daemon"])


@command
async def stop(settings: KeeperSettings, screen: Screen) -> None:
    """End the queen and everything that it owns, wait until it is gone, and report what ended."""
    queen = Queen(settings)
    try:
        try:
            health = await queen.find()
        except AddressInUse as error:
            await _stop_unresponsive(error, settings, screen)
            return
        if health is None:
            screen.say(f"No queen-rbee runs at {settings.queen_url}.")
            return
        shutdown = Shutdown(await _workers(queen))
        async with contextlib.AsyncExitStack() as stack:
            listener = await _listen(queen, shutdown, screen, stack)
            # Where another command has told it before, it may be gone before it answers.
            with contextlib.suppress(ConnectionTimeout, ShuttingDown):
                await queen.client.call(ep.SHUTDOWN, within_s=_SHUTDOWN_WITHIN_S)
            await queen.wait_until_gone()
            if listener is not None:
                await asyncio.wait({listener}, timeout=_LAST_EVENTS_WITHIN_S)
        for note in shutdown.notes:
            screen.note(f"[{PROGRAM}] ⚠️ {note}")
        screen.say(f"{PROGRAM} stopped (pid {health.pid}); {shutdown.summary}")
    finally:
        await queen.client.close()


@command
async def status(settings: KeeperSettings, screen: Screen) -> int:
    """Say whether a queen runs and what it has loaded; 1 when none runs."""
    queen = Queen(settings)
    try:
        health = await queen.find()
        if health is None:
            text = f"No queen-rbee runs at {settings.queen_url}."
            screen.answer(QueenStatus(url=settings.queen_url), text)
            screen.note("→ Start one that keeps running: rbee-keeper daemon start")
            return 1
        lasts = health.lifetime == "persistent"
        until = "runs until told to stop" if lasts else "ends with its command"
        where = f"{queen.client.url}, pid {health.pid}"
        workers = (await queen.client.call(ep.QUEEN_WORKERS)).workers
        lines = [f"queen-rbee {health.version} runs at {where}; it {until}"]
        for worker in workers:
            slots = f"{worker.slots_available} of {worker.slots_total} slots free"
            lines.append(f"  {worker.node}  {worker.model_ref}  {worker.state}, {slots}")
        found = QueenStatus(url=queen.client.url, queen=health, workers=workers)
        screen.listing(found, "\n".join(map(safe_text.line, lines)))
        if health.status == "stalled":
            screen.note(
                f"[{PROGRAM}] ⚠️ It serves no task that waits. Its log says why; to start again: "
                "rbee-keeper daemon stop"
            )
        return 0
    finally:
        await queen.client.close()


class Shutdown:
    """What was seen to end below a queen that is ending. `workers` are those that ran before."""

    def __init__(self, workers: Iterable[NodeWorkerRow]) -> None:
        self._nodes = {worker.worker_id: worker.node for worker in workers}
        self._gone: set[str] = set()
        self._hives: dict[str, HiveGone] = {}

    def add(self, event: Event) -> None:
        """Count the end that this event reports, if it does."""
        if isinstance(event, WorkerGone):
            self._gone.add(event.worker_id)
        elif isinstance(event, HiveGone):
            self._hives[event.node] = event

    @property
    def summary(self) -> str:
        """How many hives and workers have ended."""
        ended = {
            hive.node: hive for hive in self._hives.values() if hive.how in ("ended", "killed")
        }
        # A worker's own event may be lost when its hive ends with it.
        below = {worker for worker, node in self._nodes.items() if node in ended}
        workers = max(len(self._gone | below), sum(hive.workers for hive in ended.values()))
        return f"{_count(len(ended), 'hive')} and {_count(workers, 'worker')} ended"

    @property
    def notes(self) -> list[str]:
        """A line for each hive that did not end in order."""
        return [
            f"The hive on {hive.node}: {_ANOMALIES[hive.how]}."
            for hive in self._hives.values()
            if hive.how in _ANOMALIES
        ]


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


async def _stop_unresponsive(error: AddressInUse, settings: KeeperSettings, screen: Screen) -> None:
    """End a queen that does not answer; raises `error` again if it is not a queen."""
    host, _, port = str(error.details["address"]).rpartition(":")
    found = find_unresponsive(PROGRAM, host, int(port))
    if found is None:
        raise error
    screen.note(f"[{PROGRAM}] ⚠️ {error.message}")
    await end_unresponsive(found, settings.config.times.grace_s)
    screen.say(f"{PROGRAM} (pid {found.pid}) was killed; its hives and workers end by themselves")


async def _workers(queen: Queen) -> list[NodeWorkerRow]:
    """The workers that run; those that aren't listed in time are known from the events."""
    with contextlib.suppress(RbeeError):
        listed = await queen.client.call(ep.QUEEN_WORKERS, within_s=_LIST_WITHIN_S)
        return listed.workers
    return []


async def _listen(
    queen: Queen, shutdown: Shutdown, screen: Screen, stack: contextlib.AsyncExitStack
) -> asyncio.Task[None] | None:
    """Listen to the queen's events from now on; None if it has none."""
    with contextlib.suppress(RbeeError):
        events = await stack.enter_async_context(queen.client.stream(ep.QUEEN_EVENTS))
        listener = asyncio.create_task(_read(events, shutdown, screen))
        stack.push_async_callback(end_task, listener)
        return listener
    return None


async def _read(events: AsyncIterator[Event], shutdown: Shutdown, screen: Screen) -> None:
    with contextlib.suppress(RbeeError):  # the queen may go before its stream's end mark
        async for event in events:
            shutdown.add(event)
            if isinstance(event, Narration):
                screen.show(event)
