"""`rbee-hive detect`, `status` and `models …`: what a person on the machine itself asks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias, TypeVar

from rbee.contract.config import Config
from rbee.contract.errors import ModelNotFound, StreamTruncated
from rbee.contract.events import Download, Event, Verify
from rbee.contract.models import ModelRows
from rbee.contract.nodes import Detected
from rbee.contract.registry import HiveStatus
from rbee.hive.hardware import placement
from rbee.hive.hardware.devices import Hardware
from rbee.hive.local.hive_access import ModelAccess, open_models, running_hive, status_of
from rbee.hive.workers.worker_program import worker_command
from rbee.runtime import command, listings, safe_text
from rbee.runtime.listings import megabytes, table
from rbee.runtime.narration import Narrator
from rbee.runtime.screen import Screen

E = TypeVar("E", Download, Verify)

Work: TypeAlias = Callable[[Config, Screen], Coroutine[Any, Any, int]]


def run(work: Work, config: Config, as_json: bool) -> int:
    """Run a command; returns its exit code."""
    # Log lines are meant for a daemon's log. A person gets the narration.
    logging.getLogger().addHandler(logging.NullHandler())
    screen = Screen(as_json=as_json)
    return command.run("rbee-hive", lambda: work(config, screen), screen)


async def detect(config: Config, screen: Screen) -> int:
    """Show what is here, beside what can be used."""
    found = await Hardware(worker_command(config)).detect()
    screen.listing(found, detected_text(found))
    for note in found.notes:
        screen.note(f"[device-manager] ⚠️ {note}")
    return 0


async def status(config: Config, screen: Screen) -> int:
    """Show whether a hive runs here; 1 if none does, or none that answers."""
    hive = running_hive()
    found = await status_of(config, hive)
    screen.listing(found, status_text(found, hive.pid if hive else None))
    return 0 if found.state in ("running", "draining") else 1


async def list_models(config: Config, screen: Screen) -> int:
    async with _models(config, screen) as models:
        found = await models.listing()
    for note in found.notes:
        screen.note(f"[model-provisioner] ⚠️ {note}")
    if found.models or screen.as_json:
        rows = [listings.model_cells(row) for row in found.models]
        screen.listing(found.models, table(listings.MODEL_HEADS, rows))
    else:
        screen.note("There are no models yet. Fetch one: rbee-hive models download MODEL")
    return 0


async def disk_usage(config: Config, screen: Screen) -> int:
    async with _models(config, screen) as models:
        found = await models.listing()
    screen.listing(found, disk_text(found))
    return 0


async def download(config: Config, screen: Screen, model: str) -> int:
    async with _models(config, screen) as models:
        done = await _last(models.download(model), Download, screen)
        if done is None:
            raise StreamTruncated("The download's progress stopped before its end.", tokens=0)
        screen.answer(done, done.local_path or "")
    return 0


async def info(config: Config, screen: Screen, model: str) -> int:
    async with _models(config, screen) as models:
        found = await models.info(model)
    screen.listing(found, listings.described(found, "rbee-hive models verify"))
    return 0


async def verify(config: Config, screen: Screen, model: str) -> int:
    async with _models(config, screen) as models, _of_the_disk():
        done = await _last(models.verify(model), Verify, screen)
        if done is None:
            raise StreamTruncated("The verification stopped before its result.", tokens=0)
        result = "is whole" if done.compared else "had no known hash to compare with"
        screen.answer(done, f"{model} {result}: sha256 {', '.join(done.sha256 or [])}")
    return 0


async def _last(events: AsyncIterator[Event | None], kind: type[E], screen: Screen) -> E | None:
    """The event with which the work is complete; None if there is none. All of it is shown."""
    async for event in events:
        if isinstance(event, kind):
            screen.narrate(event)
            if event.stage == "complete":
                return event
    return None


async def delete(config: Config, screen: Screen, model: str) -> int:
    async with _models(config, screen) as models, _of_the_disk():
        deleted = await models.delete(model)
    screen.answer(deleted, deleted.message)
    return 0


@contextlib.asynccontextmanager
async def _of_the_disk() -> AsyncIterator[None]:
    """What is not on the disk is not to be looked for on the Hub."""
    try:
        yield
    except ModelNotFound as error:
        if not error.details["near"]:
            error.details["hint"] = "See which models are there: rbee-hive models list"
        raise


def _models(config: Config, screen: Screen) -> AbstractAsyncContextManager[ModelAccess]:
    return open_models(config, Narrator(screen.narrate))


def detected_text(found: Detected) -> str:
    """The hardware, device by device, and whether llama.cpp can use it."""
    rows = []
    for device in found.hardware:
        used = found.devices.get(device.backend, 0) > device.index
        cells = megabytes(device.memory_total_bytes), megabytes(device.memory_free_bytes)
        if not device.memory_total_bytes:
            cells = "unknown", "unknown"
        rows.append((placement.label(device), device.name, *cells, "yes" if used else "no"))
    lines = [
        table(("DEVICE", "NAME", "MEMORY", "FREE", "USABLE"), rows),
        safe_text.line(f"llama.cpp computes on: {', '.join(found.backends)}"),
    ]
    if found.advice:
        lines.append("To use the other devices, rebuild it:")
        lines += [f"    {safe_text.line(each)}" for each in found.advice]
    return "\n".join(lines)


def status_text(found: HiveStatus, pid: int | None) -> str:
    """Whether the hive runs, where, and its workers."""
    if found.state == "stopped":
        return "No rbee-hive runs here."
    version = f" {found.version}" if found.version else ""
    lines = [safe_text.line(f"rbee-hive{version} runs at {found.url} (pid {pid}), {found.state}")]
    if found.error:
        lines.append(safe_text.line(f"It can't be asked for more: {found.error}"))
    elif found.workers:
        heads = ("WORKER", "MODEL", "DEVICE", "STATE", "FREE SLOTS")
        rows = [
            (
                row.id,
                row.model_ref,
                "cpu" if row.backend == "cpu" else f"{row.backend}:{row.device}",
                row.state,
                f"{row.slots_available} of {row.slots_total}",
            )
            for row in found.workers
        ]
        lines.append(table(heads, rows))
    else:
        lines.append("It has no workers.")
    return "\n".join(lines)


def disk_text(found: ModelRows) -> str:
    """What the models take, and what is free."""
    free, total = megabytes(found.disk_free_bytes), megabytes(found.disk_total_bytes)
    where = safe_text.line(f"{free} of {total} are free at {found.folder}")
    return f"{listings.usage(found.models)}\n{where}"
