"""`rbee-keeper config …`: nodes in the config file, and the settings in force."""

from __future__ import annotations

import shlex
from pathlib import Path

from rbee.contract import endpoints as ep
from rbee.contract.errors import NodeNotFound, ProgramFailed
from rbee.contract.registry import AddNode, NodeNamed
from rbee.keeper.config import config_file
from rbee.keeper.session.queen import PROGRAM, Queen
from rbee.keeper.session.session import with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime import settings as configuration
from rbee.runtime.screen import Screen

_WRITTEN = ("ssh_host", "ssh_user", "ssh_key_path", "ssh_port")


async def set_ssh(settings: KeeperSettings, screen: Screen, asked: AddNode) -> int:
    """Write how SSH reaches a node, and have the queen read it; nothing is tried."""
    given = {name: getattr(asked, name) for name in _WRITTEN}
    values = {name: value for name, value in given.items() if value is not None}
    file = config_file.set_node(asked.node_name, values)
    screen.say(f"{asked.node_name} stands in {file}.")

    async def work(queen: Queen) -> None:
        await queen.client.call(ep.QUEEN_RELOAD_NODES)
        rows = (await queen.client.call(ep.QUEEN_NODES)).nodes
        known = next((row for row in rows if row.node_name == asked.node_name), None)
        if known is None or any(getattr(known, name) != values[name] for name in values):
            raise _read_elsewhere(queen, asked.node_name, file)
        again = f"rbee-keeper hive status --node {asked.node_name}"
        screen.note(f"It was not tried yet. To try it: {again}")

    return await with_queen(settings, screen, work)


async def remove(settings: KeeperSettings, screen: Screen, asked: NodeNamed) -> int:
    """Take a node out of the config file and out of the registry; it need not be in both."""
    file = config_file.remove_node(asked.node_name)

    async def work(queen: Queen) -> None:
        await queen.client.call(ep.QUEEN_RELOAD_NODES)
        told = f"{asked.node_name} is removed."
        try:
            told = (await queen.client.call(ep.QUEEN_REMOVE_NODE, asked)).message
        except NodeNotFound:
            if file is None:
                raise
        screen.say(told)

    return await with_queen(settings, screen, work)


async def show(settings: KeeperSettings, screen: Screen) -> int:
    """The settings in force, as TOML."""
    screen.say(configuration.show(settings.config).rstrip("\n"))
    return 0


def _read_elsewhere(queen: Queen, node: str, file: Path) -> ProgramFailed:
    """The queen was started with another RBEE_CONFIG or HOME, or on another machine."""
    return ProgramFailed(
        f"{file} is written, but the queen at {queen.client.url} does not know {node} so: she "
        "reads another config file.",
        program=PROGRAM,
        reason="another config file",
        hint=f"Restart her in this login: rbee-keeper daemon stop; or start her with "
        f"RBEE_CONFIG={shlex.quote(str(file))}.",
    )
