"""`rbee-hive detect`, `status` and `models …`: what a person on the machine itself asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from rbee.contract.config import Config
from rbee.contract.errors import RbeeError, StreamTruncated
from rbee.contract.events import Download, Verify
from rbee.hive.hardware.devices import Hardware
from rbee.hive.local import report as console
from rbee.hive.local import running_hive as hives
from rbee.hive.local.model_access import Here, reach
from rbee.hive.local.report import Console
from rbee.hive.workers.registry import worker_command
from rbee.runtime import debug_trace
from rbee.runtime.error_text import unexpected
from rbee.runtime.narration import Narrator

_INTERRUPTED = 130
Work: TypeAlias = Callable[[Config, Console], Awaitable[int]]
Deed: TypeAlias = Callable[[Here, Console, str], Awaitable[None]]


def run(work: Work, config: Config, as_json: bool) -> int:
    """Do it, and tell what goes wrong; the exit code."""
    # What is logged is for a daemon's log; a person is told what concerns them.
    logging.getLogger().addHandler(logging.NullHandler())
    shown = Console(as_json)

    async def working() -> int:
        return await work(config, shown)

    with debug_trace.traced(shown.note):
        try:
            return asyncio.run(working())
        except RbeeError as error:
            shown.error(error)
            return error.exit_code
        except BrokenPipeError:  # nobody reads any more: `| head -1`
            return 1
        except KeyboardInterrupt:
            shown.note("Canceled.")
            return _INTERRUPTED
        except Exception as fault:
            shown.error(unexpected("rbee-hive", fault))
            return 1


async def detect(config: Config, shown: Console) -> int:
    """What is here, beside what can be used."""
    found = await Hardware(worker_command(config)).detect()
    shown.show(found, console.of_detected(found))
    for note in found.notes:
        shown.note(f"[device-manager] ⚠️ {note}")
    return 0


async def status(config: Config, shown: Console) -> int:
    """Whether a hive runs here: 1 where none does, or none that answers."""
    hive = hives.running()
    found = await hives.status(config, hive)
    shown.show(found, console.of_status(found, hive.pid if hive else None))
    return 0 if found.state in ("running", "draining") else 1


def models(action: str, model: str) -> Work:
    """`rbee-hive models ACTION [MODEL]`."""

    async def work(config: Config, shown: Console) -> int:
        async with reach(config, Narrator(shown.narrate)) as here:
            await _DEEDS[action](here, shown, model)
        return 0

    return work


async def _list(here: Here, shown: Console, _: str) -> None:
    found = await here.listing()
    for note in found.notes:
        shown.note(f"[model-provisioner] ⚠️ {note}")
    if found.models or shown.as_json:
        shown.show(found.models, console.of_models(found))
    else:
        shown.note("No models are here yet. Fetch one: rbee-hive models download MODEL")


async def _disk_usage(here: Here, shown: Console, _: str) -> None:
    found = await here.listing()
    shown.show(found, console.of_disk(found))


async def _download(here: Here, shown: Console, model: str) -> None:
    async for event in here.download(model):
        shown.progress(event)
        if isinstance(event, Download) and event.stage == "complete":
            shown.show(event, event.local_path or "")
            return
    raise StreamTruncated("The download ended without its end being told.", tokens=0)


async def _info(here: Here, shown: Console, model: str) -> None:
    found = await here.info(model)
    shown.show(found, console.of_model(found))


async def _verify(here: Here, shown: Console, model: str) -> None:
    async for event in here.verify(model):
        if isinstance(event, Verify) and event.stage == "complete":
            known = "is whole" if event.compared else "had no known hash to compare with"
            shown.show(event, f"{model} {known}: sha256 {', '.join(event.sha256 or [])}")
            return
    raise StreamTruncated("The verification ended without its result.", tokens=0)


async def _delete(here: Here, shown: Console, model: str) -> None:
    done = await here.delete(model)
    shown.show(done, done.message)


_DEEDS: dict[str, Deed] = {
    "list": _list,
    "disk-usage": _disk_usage,
    "download": _download,
    "info": _info,
    "verify": _verify,
    "delete": _delete,
}
