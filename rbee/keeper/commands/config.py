"""`rbee-keeper config …`: nodes in the config file, and the effective settings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NoReturn

from rbee.contract import endpoints as ep
from rbee.contract.errors import NodeNotFound, ProgramFailed
from rbee.contract.registry import AddNode, NodeNamed
from rbee.keeper.commands.runner import (
    command,
    message,
    request_or_exit,
    run_configured,
    screen_of,
)
from rbee.keeper.commands.setup import node_request
from rbee.keeper.config import config_file
from rbee.keeper.session.queen import PROGRAM, Queen
from rbee.keeper.session.session import of_the_known_nodes, with_queen
from rbee.keeper.settings import KeeperSettings
from rbee.runtime import settings as configuration
from rbee.runtime.screen import Screen

_SSH = ("ssh_host", "ssh_user", "ssh_key_path", "ssh_port")


def set_ssh(**flags: object) -> NoReturn:
    """Write how SSH reaches a node, and have the queen read it; nothing is tried."""
    screen = screen_of(flags)
    request = node_request(flags, screen)
    run_configured(lambda settings: _set_ssh(settings, screen, request), screen)


def remove(**flags: object) -> NoReturn:
    """Remove a node from the config file and the registry; it need not be in both."""
    screen = screen_of(flags)
    request = request_or_exit(lambda: message(NodeNamed, flags), flags, screen)
    run_configured(lambda settings: _remove(settings, screen, request), screen)


@command
async def show(settings: KeeperSettings, screen: Screen) -> None:
    """Print the effective settings as TOML."""
    screen.say(*configuration.show(settings.config).rstrip("\n").split("\n"))


async def _set_ssh(settings: KeeperSettings, screen: Screen, request: AddNode) -> int:
    given = {name: getattr(request, name) for name in _SSH}
    values = {name: value for name, value in given.items() if value is not None}
    file = config_file.set_node(request.node_name, values)
    screen.say(f"{request.node_name} is written to {file}.")

    async def reload(queen: Queen) -> None:
        await queen.client.call(ep.QUEEN_RELOAD_NODES)
        rows = (await queen.client.call(ep.QUEEN_NODES)).nodes
        known = next((row for row in rows if row.node_name == request.node_name), None)
        if known is None or any(getattr(known, name) != values[name] for name in values):
            raise _reads_another_file(queen, request.node_name, file)
        try_it = f"rbee-keeper hive status --node {request.node_name}"
        screen.note(f"The node has not been tried yet. Try it: {try_it}")

    return await with_queen(settings, screen, reload)


async def _remove(settings: KeeperSettings, screen: Screen, request: NodeNamed) -> int:
    file = config_file.remove_node(request.node_name)

    async def reload(queen: Queen) -> None:
        await queen.client.call(ep.QUEEN_RELOAD_NODES)
        text = f"{request.node_name} is removed."
        try:
            with of_the_known_nodes():
                text = (await queen.client.call(ep.QUEEN_REMOVE_NODE, request)).message
        except NodeNotFound:
            if file is None:
                raise
        screen.say(text)

    return await with_queen(settings, screen, reload)


def _reads_another_file(queen: Queen, node: str, file: Path) -> ProgramFailed:
    """The queen was started with another RBEE_CONFIG or HOME, or on another machine."""
    return ProgramFailed(
        f"{file} is written, but the queen at {queen.client.url} does not have this entry for "
        f"{node}: it reads another config file.",
        program=PROGRAM,
        reason="another config file",
        hint="Restart it from this login: rbee-keeper daemon stop; or start it with "
        f"RBEE_CONFIG={shlex.quote(str(file))}.",
    )
