"""This machine: `install` and `doctor`, which work whatever the config file says."""

from __future__ import annotations

from pathlib import Path

from rbee.keeper.app.running import unconfigured
from rbee.runtime.screen import Screen


def install(system: bool, root: str | None, systemd: bool, screen: Screen) -> int:
    """`rbee-keeper install`."""
    from rbee.keeper.commands import install as command

    top = Path(root).absolute() if root is not None else None
    return unconfigured(lambda: command.install(screen, system, top, systemd), screen)


def doctor(screen: Screen) -> int:
    """`rbee-keeper doctor`."""
    from rbee.keeper.commands import doctor as command

    return unconfigured(lambda: command.doctor(screen), screen)
