"""`rbee-keeper daemon start|stop|status`: a queen that lasts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from rbee.contract import endpoints as ep
from rbee.contract.daemons import QueenHealth
from rbee.contract.errors import AddressInUse, RbeeError
from rbee.contract.events import Event, Narration
from rbee.contract.workers import NodeWorkerRow
from rbee.keeper.commands.daemon_end import Ending
from rbee.keeper.session.queen import PROGRAM, Queen
from rbee.keeper.session.unresponsive_queen import end_hung, find_hung
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.cancellation import stop as end_task
from rbee.runtime.screen import Screen

_LIST_WITHIN_S = 6.0
_LAST_WORD_WITHIN_S = 1.0


class QueenStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `daemon status --json` prints; `queen` is null where none runs."""

    url: str
    queen: QueenHealth | None = None
    workers: list[NodeWorkerRow] = []


async def start(settings: KeeperSettings, screen: Screen) -> int:
    """Start a queen, or make the one that runs last."""
    queen = Queen(settings)
    try:
        await queen.reach(keep=True)
        health = await queen.client.call(ep.QUEEN_HEALTH)
        what = "started" if queen.started_here else "running already"
        screen.say(f"queen-rbee {what}: {queen.client.url}, pid {health.pid}")
        return 0
    finally:
        await queen.release()


async def stop(settings: KeeperSettings, screen: Screen) -> int:
    """End the queen and all that she owns, wait until she is gone, and say what was seen to end."""
    queen = Queen(settings)
    try:
        try:
            health = await queen.find()
        except AddressInUse as error:
            return await _stop_hung(error, settings, screen)
        if health is None:
            screen.say(f"No queen-rbee runs at {settings.queen_url}.")
            return 0
        ending = Ending(await _workers(queen))
        async with contextlib.AsyncExitStack() as stream:
            hearing = await _listen(queen, ending, screen, stream)
            await queen.client.call(ep.SHUTDOWN)
            await queen.wait_until_gone()
            if hearing is not None:
                await asyncio.wait({hearing}, timeout=_LAST_WORD_WITHIN_S)
        for note in ending.notes:
            screen.note(f"[{PROGRAM}] ⚠️ {note}")
        screen.say(f"{PROGRAM} stopped (pid {health.pid}); {ending.told}")
        return 0
    finally:
        await queen.client.close()


async def status(settings: KeeperSettings, screen: Screen) -> int:
    """Say whether a queen runs, and what she has loaded; 1 where none runs."""
    queen = Queen(settings)
    try:
        health = await queen.find()
        if health is None:
            told = f"No queen-rbee runs at {settings.queen_url}."
            screen.answer(QueenStatus(url=settings.queen_url), told)
            screen.note("→ Start one that lasts: rbee-keeper daemon start")
            return 1
        life = (
            "lasts until told to stop"
            if health.lifetime == "persistent"
            else "ends with its command"
        )
        where = f"{settings.queen_url}, pid {health.pid}"
        workers = (await queen.client.call(ep.QUEEN_WORKERS)).workers
        lines = [f"queen-rbee {health.version} runs at {where}; it {life}"]
        for worker in workers:
            slots = f"{worker.slots_available} of {worker.slots_total} slots free"
            lines.append(f"  {worker.node}  {worker.model_ref}  {worker.state}, {slots}")
        found = QueenStatus(url=queen.client.url, queen=health, workers=workers)
        screen.answer(found, "\n".join(lines))
        return 0
    finally:
        await queen.client.close()


async def _stop_hung(error: AddressInUse, settings: KeeperSettings, screen: Screen) -> int:
    """End one that can't be asked any more; `error` is raised again where it is no queen."""
    host, _, port = str(error.details["address"]).rpartition(":")
    named = find_hung(PROGRAM, host, int(port))
    if named is None:
        raise error
    screen.note(f"[{PROGRAM}] ⚠️ {error.message}")
    await end_hung(named, settings.config.times.grace_s)
    screen.say(f"{PROGRAM} (pid {named.pid}) was killed; its hives and workers end by themselves")
    return 0


async def _workers(queen: Queen) -> list[NodeWorkerRow]:
    """What runs now; what can't be known in time is left to the events."""
    with contextlib.suppress(RbeeError):
        listed = await queen.client.call(ep.QUEEN_WORKERS, within_s=_LIST_WITHIN_S)
        return listed.workers
    return []


async def _listen(
    queen: Queen, ending: Ending, screen: Screen, stream: contextlib.AsyncExitStack
) -> asyncio.Task[None] | None:
    """Hear what the queen tells from now on; None for one who tells nothing."""
    with contextlib.suppress(RbeeError):
        events = await stream.enter_async_context(queen.client.stream(ep.QUEEN_EVENTS))
        hearing = asyncio.create_task(_hear(events, ending, screen))
        stream.push_async_callback(end_task, hearing)
        return hearing
    return None


async def _hear(events: AsyncIterator[Event], ending: Ending, screen: Screen) -> None:
    with contextlib.suppress(RbeeError):  # she may go before her stream's end mark
        async for event in events:
            ending.take(event)
            if isinstance(event, Narration):
                screen.show(event)
