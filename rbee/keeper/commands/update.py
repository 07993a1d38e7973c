"""`rbee-keeper update`: what is new, and the command that gets it. It installs nothing."""

from __future__ import annotations

from rbee.keeper.commands.runner import command
from rbee.keeper.settings import KeeperSettings
from rbee.runtime.screen import Screen

_AFTERWARDS = (
    "Then end what still runs the old version: rbee-keeper daemon stop. A node is updated with: "
    "rbee-keeper setup install --node NODE"
)


@command
async def update(_: KeeperSettings, screen: Screen) -> None:
    """Ask where this installation came from."""
    # Late: no other command needs what they import.
    from rbee.keeper.install import newer, origin

    found = await newer.look(origin.here())
    get = [] if found.command is None else [f"Get it: {found.command}"]
    screen.listing(found, "\n".join([found.says, *get]))
    if found.command is not None:
        screen.note(_AFTERWARDS)
