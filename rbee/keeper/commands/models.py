"""`rbee-keeper models …`: what is on a node, and what shall be there."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from rbee.contract import endpoints as ep
from rbee.contract.endpoints import Endpoint, Nothing
from rbee.contract.errors import ErrorEnvelope, RbeeError, StreamTruncated
from rbee.contract.events import Download, Verify
from rbee.contract.models import (
    ModelDetails,
    NodeDownload,
    NodeModel,
    NodeModelRow,
    NodeModelRows,
    Offered,
)
from rbee.keeper.adapters.screen import Screen
from rbee.keeper.core.tables import megabytes, table
from rbee.keeper.services.queen import Queen
from rbee.keeper.settings import KeeperSettings

Q = TypeVar("Q")

_INTERRUPTED = 130
# The Hub may be asked six times, and a large model be removed from a slow disk.
_WITHIN_S = 200.0


async def download(settings: KeeperSettings, screen: Screen, asked: NodeDownload) -> int:
    """Fetch a model; its path is what is said. Detached, a queen that lasts goes on with it."""

    async def work(queen: Queen) -> None:
        path = None
        async for event in _events(queen, screen, ep.QUEEN_DOWNLOAD, asked):
            if isinstance(event, Download) and event.stage == "complete":
                path = event.local_path
        screen.close()
        if path is not None:
            screen.result(path)
        elif asked.detach:
            screen.note("It goes on by itself; see how far it is: rbee-keeper models list")
        else:
            raise StreamTruncated("The download ended without its end being told.", tokens=0)

    return await _with_queen(settings, screen, work, keep=asked.detach)


async def listing(settings: KeeperSettings, screen: Screen, node: str | None) -> int:
    """Every model, whole or not."""

    async def work(queen: Queen) -> None:
        found = await _listed(queen, screen, node)
        if screen.as_json:
            screen.json(found.models)
        elif not found.models:
            screen.note("No models are here yet. Fetch one: rbee-keeper models download MODEL")
        else:
            several = len(found.disks) > 1
            heads = ["NODE"] * several + ["REFERENCE", "QUANTIZATION", "SIZE", "STATE"]
            rows = [[row.node] * several + _cells(row) for row in found.models]
            screen.say(table(heads, rows))

    return await _with_queen(settings, screen, work)


async def disk_usage(settings: KeeperSettings, screen: Screen, node: str | None) -> int:
    """What the models take, the largest first, and what is free."""

    async def work(queen: Queen) -> None:
        found = await _listed(queen, screen, node)
        if screen.as_json:
            screen.json(found)
            return
        for disk in found.disks:
            rows = [row for row in found.models if row.node == disk.node]
            rows.sort(key=lambda row: -row.bytes_downloaded)
            cells = [(megabytes(row.bytes_downloaded), row.reference) for row in rows]
            taken = sum(row.bytes_downloaded for row in rows)
            screen.say(table(("SIZE", "REFERENCE"), [*cells, (megabytes(taken), "in all")]))
            free, total = megabytes(disk.disk_free_bytes), megabytes(disk.disk_total_bytes)
            screen.say(f"{disk.node}: {free} of {total} are free at {disk.folder}")

    return await _with_queen(settings, screen, work)


async def info(settings: KeeperSettings, screen: Screen, asked: NodeModel) -> int:
    """What is known of one model, on the node or on the Hub."""

    async def work(queen: Queen) -> None:
        found = await queen.client.call(ep.QUEEN_MODEL_INFO, asked, within_s=_WITHIN_S)
        if screen.as_json:
            screen.json(found)
        else:
            screen.say(_described(found))

    return await _with_queen(settings, screen, work)


async def verify(settings: KeeperSettings, screen: Screen, asked: NodeModel) -> int:
    """Whether its files are what the Hub sent."""

    async def work(queen: Queen) -> None:
        done: Verify | None = None
        async for event in _events(queen, screen, ep.QUEEN_MODEL_VERIFY, asked):
            if isinstance(event, Verify) and event.stage == "complete":
                done = event
        screen.close()
        if done is None:
            raise StreamTruncated("The verification ended without its result.", tokens=0)
        sums = ", ".join(done.sha256 or [])
        known = "is whole" if done.compared else "had no known hash to compare with"
        screen.result(f"{asked.model} {known}: sha256 {sums}")

    return await _with_queen(settings, screen, work)


async def delete(settings: KeeperSettings, screen: Screen, asked: NodeModel) -> int:
    """Remove it from the node."""

    async def work(queen: Queen) -> None:
        done = await queen.client.call(ep.QUEEN_MODEL_DELETE, asked, within_s=_WITHIN_S)
        if screen.as_json:
            screen.json(done)
        else:
            screen.say(done.message)

    return await _with_queen(settings, screen, work)


async def _with_queen(
    settings: KeeperSettings,
    screen: Screen,
    work: Callable[[Queen], Awaitable[None]],
    keep: bool = False,
) -> int:
    """Do `work` with the queen that runs, or with one that is started for it."""
    queen = Queen(settings)
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    code = 0
    try:
        await queen.reach(keep=keep)
        await work(queen)
    except RbeeError as error:
        screen.error(error)
        code = error.exit_code
    except asyncio.CancelledError:
        screen.close()
        screen.note("Canceled.")
        code = _INTERRUPTED
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await queen.release()
    return code


async def _events(
    queen: Queen, screen: Screen, endpoint: Endpoint[Q, Nothing], asked: Q
) -> AsyncIterator[object]:
    async with queen.client.stream(endpoint, asked) as events:
        async for event in events:
            screen.show(event)
            if isinstance(event, ErrorEnvelope):
                raise RbeeError.from_body(event.error)
            yield event


async def _listed(queen: Queen, screen: Screen, node: str | None) -> NodeModelRows:
    names = {} if node is None else {"node": node}
    found = await queen.client.call(ep.QUEEN_MODELS, None, within_s=_WITHIN_S, **names)
    for note in found.notes:
        screen.note(f"[model-provisioner] ⚠️ {note}")
    return found


def _cells(row: NodeModelRow) -> list[str]:
    state: str = row.state
    if row.state != "ready" and row.size_bytes:
        state = f"{row.state}, {100 * row.bytes_downloaded // row.size_bytes} %"
    size = megabytes(row.size_bytes) if row.size_bytes else "unknown"
    return [row.reference, row.quantization or "unknown", size, state]


def _described(found: ModelDetails) -> str:
    free, total = megabytes(found.memory_free_bytes), megabytes(found.memory_total_bytes)
    lines = {
        "reference": found.reference,
        "state": found.state,
        "path": found.local_path or "none",
        "size": megabytes(found.size_bytes),
        "sha256": found.sha256 or "unknown; rbee-keeper models verify finds it",
        "architecture": found.architecture,
        "quantization": found.quantization or "unknown",
        "layers": found.layers,
        "trained context": f"{found.context_length} tokens",
        "vocabulary": f"{found.vocabulary_size} tokens",
        "memory needed": f"{megabytes(found.required_bytes)} ({free} of {total} are free)",
    }
    text = "\n".join(f"{name}: {value}" for name, value in lines.items())
    if found.offered:
        rows = [_offer(each) for each in found.offered]
        text += "\n\nIn the same repository:\n" + table(("QUANTIZATION", "SIZE", "FITS"), rows)
    return text


def _offer(each: Offered) -> tuple[str, str, str]:
    fits = "yes" if each.fits else "no"
    return each.quantization or "unknown", megabytes(each.size_bytes), fits
