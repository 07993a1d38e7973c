"""`rbee-keeper nodes`: every node at once, as the queen knows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from rbee.contract import endpoints as ep
from rbee.contract.errors import ShuttingDown
from rbee.contract.events import Event
from rbee.contract.nodes import RunningDownload
from rbee.contract.overview import NodeOverview, Overview
from rbee.contract.workers import NodeWorkerRow
from rbee.keeper.commands.runner import queen_command
from rbee.keeper.session.queen import Queen
from rbee.keeper.terminal.full_screen import full_screen, is_possible
from rbee.runtime import safe_text
from rbee.runtime.leave import INTERRUPTED
from rbee.runtime.listings import megabytes
from rbee.runtime.screen import Screen

_DRAW_EVERY_S = 1.0


@queen_command
async def nodes(queen: Queen, screen: Screen, watch: bool) -> int:
    """Show them once, or with `watch` until Ctrl+C."""
    if not watch:
        found = await queen.client.call(ep.QUEEN_OVERVIEW)
        screen.listing(found, _text(found))
        return 0
    try:
        async with queen.client.stream(ep.QUEEN_OVERVIEW) as events:
            show = _draw if is_possible() and not screen.as_json else _print
            await show(events, screen)
    except asyncio.CancelledError:  # Ctrl+C is how a person stops watching
        return INTERRUPTED
    raise ShuttingDown("The queen has ended.")


async def _draw(events: AsyncIterator[Event], _: Screen) -> None:
    """On the whole terminal, with ages that grow."""
    found, came = Overview([], 0), time.monotonic()
    with full_screen(lambda: list(_lines(found, time.monotonic() - came)), _DRAW_EVERY_S) as draw:
        async for event in events:
            if isinstance(event, Overview):
                found, came = event, time.monotonic()
                draw()


async def _print(events: AsyncIterator[Event], screen: Screen) -> None:
    """One block after the other, with an empty line between them."""
    is_first = True
    async for event in events:
        if isinstance(event, Overview) and screen.as_json:
            screen.show(event)
        elif isinstance(event, Overview):
            screen.listing(event, _text(event) if is_first else f"\n{_text(event)}")
            is_first = False


def _text(found: Overview) -> str:
    return "\n".join(map(safe_text.line, _lines(found)))


def _lines(found: Overview, older_s: float = 0) -> Iterator[str]:
    """For a person. `older_s` is how long ago the queen told it."""
    for node in found.nodes:
        yield f"{node.node}: {', '.join(_state(node, older_s))}"
        for device in node.memory:
            free, total = map(megabytes, (device.memory_free_bytes, device.memory_total_bytes))
            name = f"{device.backend}:{device.index}"
            yield f"  {name}  {device.name}, {free} of {total} free"
        yield from (f"  {_worker(worker)}" for worker in node.workers)
        yield from (f"  downloading {_download(each)}" for each in node.downloads)
    if found.waiting:
        tasks = "1 task waits" if found.waiting == 1 else f"{found.waiting} tasks wait"
        yield f"{tasks} for a slot: rbee-keeper queue list"


def _state(node: NodeOverview, older_s: float) -> Iterator[str]:
    if node.state != "running":
        yield {"absent": "no hive runs"}.get(node.state, node.state)
        if node.error:
            yield node.error
    elif node.facts_age_s is None:
        yield "running"
        yield "it has not told its facts yet"
    else:
        yield "running"
        yield f"told {node.facts_age_s + older_s:.0f} s ago"
        yield f"{node.models} model{'' if node.models == 1 else 's'} on disk"
        yield f"{megabytes(node.disk_free_bytes or 0)} of disk free"


def _worker(worker: NodeWorkerRow) -> str:
    slots = f"{worker.slots_available} of {worker.slots_total} slots free"
    device = f"{worker.backend}:{worker.device}"
    return f"{worker.model_ref}  {worker.state}, {slots}, {device}  {worker.worker_id}"


def _download(each: RunningDownload) -> str:
    if not each.bytes_total:
        return f"{each.reference}, {megabytes(each.bytes_downloaded)}"
    percent = 100 * each.bytes_downloaded // each.bytes_total
    return f"{each.reference}, {percent} % of {megabytes(each.bytes_total)}"
