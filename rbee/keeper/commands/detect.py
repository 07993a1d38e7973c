"""`rbee-keeper detect`: what a machine can compute on."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from rbee.contract.errors import ProgramFailed
from rbee.contract.registry import HiveStatus
from rbee.keeper.commands import hive
from rbee.keeper.commands.runner import command
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime import paths
from rbee.runtime.listings import facts, megabytes
from rbee.runtime.screen import Screen


@command
async def detect(settings: KeeperSettings, screen: Screen, node: str | None) -> int:
    """Describe this machine, or a node through its hive, which is started unless it runs."""
    if node is None:
        _become_hive(settings, screen)

    async def describe(queen: Queen) -> None:
        found = await hive.status_of(queen, node)
        if found.state != "running":
            found = await hive.started(queen, screen, node)
        screen.listing(found, _description(found))

    return await with_queen(settings, screen, describe)


def _become_hive(settings: KeeperSettings, screen: Screen) -> NoReturn:
    """Replace this process by `rbee-hive detect`, which knows this machine."""
    words = [*paths.program("rbee-hive", settings.config.hive.command), "detect"]
    if screen.as_json:
        words.append("--json")
    sys.stdout.flush()
    try:
        os.execvp(words[0], words)
    except OSError as error:
        raise ProgramFailed(program=words[0], reason=f"{error.strerror}.") from None


def _description(hive: HiveStatus) -> str:
    devices = ", ".join(f"{backend} {hive.devices.get(backend, 0)}" for backend in hive.backends)
    free, total = hive.ram_free_bytes or 0, hive.ram_total_bytes or 0
    known = {
        "node": hive.node,
        "rbee": hive.version or "unknown",
        "backends, the best first": ", ".join(hive.backends),
        "devices": devices,
        "memory": f"{megabytes(free)} of {megabytes(total)} are free",
    }
    return facts(known)
