"""`rbee-keeper detect`: what a machine can compute on."""

from __future__ import annotations

import os
import sys

from rbee.contract import endpoints as ep
from rbee.contract.errors import ProgramFailed
from rbee.contract.registry import HiveNode, HiveStatus
from rbee.keeper.commands.hive import of_node
from rbee.keeper.session.queen import Queen
from rbee.keeper.session.session import follow, with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime import paths
from rbee.runtime.listings import megabytes
from rbee.runtime.screen import Screen

_HIVE = "rbee-hive"


async def here(settings: KeeperSettings, screen: Screen) -> int:
    """This machine, as its own rbee-hive finds it: that program takes the place of this one."""
    words = [*paths.program(_HIVE, settings.config.hive.command), "detect"]
    if screen.as_json:
        words.append("--json")
    sys.stdout.flush()
    try:
        os.execvp(words[0], words)
    except OSError as error:
        raise ProgramFailed(program=words[0], reason=f"{error.strerror}.") from None


async def there(settings: KeeperSettings, screen: Screen, node: str) -> int:
    """A node, as its hive tells it, which is started where none runs."""

    async def work(queen: Queen) -> None:
        found = await of_node(queen, node)
        if found.state != "running":
            await follow(queen, screen, ep.QUEEN_HIVE_START, HiveNode(node))
            found = await of_node(queen, node)
        if found.state != "running":
            raise ProgramFailed(program=_HIVE, reason=found.error or f"it is {found.state}")
        screen.answer(found, _described(found))

    return await with_queen(settings, screen, work)


def _described(hive: HiveStatus) -> str:
    devices = ", ".join(f"{backend} {hive.devices.get(backend, 0)}" for backend in hive.backends)
    free, total = hive.ram_free_bytes or 0, hive.ram_total_bytes or 0
    lines = {
        "node": hive.node,
        "rbee": hive.version or "unknown",
        "backends, the best first": ", ".join(hive.backends),
        "devices": devices,
        "memory": f"{megabytes(free)} of {megabytes(total)} are free",
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())
