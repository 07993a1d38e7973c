"""`rbee-keeper doctor`: all that is looked at, and what is to be typed."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Sequence

from rbee.contract.config import Config
from rbee.contract.errors import RbeeError
from rbee.keeper.commands.install import wanted_units
from rbee.keeper.doctor import check_programs as programs
from rbee.keeper.doctor.checkup import Examination
from rbee.keeper.doctor.findings import Diagnosis, Finding
from rbee.keeper.install import files as installation
from rbee.keeper.install import paths as layout
from rbee.keeper.install import systemd as units
from rbee.runtime import paths
from rbee.runtime.command import INTERRUPTED, Interrupts
from rbee.runtime.screen import Screen


async def doctor(screen: Screen) -> int:
    """Look at everything; 1 where anything is a problem."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without a tick has a ? for it
    Interrupts()
    try:
        diagnosis = Diagnosis.of(await Examination(_units).run())
    except asyncio.CancelledError:
        screen.note("Canceled.")
        return INTERRUPTED
    screen.answer(diagnosis, diagnosis.told())
    return 1 if diagnosis.problems else 0


def _units(config: Config) -> Sequence[Finding]:
    """Whether the units that there are would be written so today."""
    user = layout.of_user(paths.home(), paths.config_home(), paths.models_dir(config.models.dir))
    found: list[Finding] = []
    for where, flags in ((user, "--systemd"), (layout.of_system(None), "--system --systemd")):
        present: list[str] = []
        outdated: list[str] = []
        for role, name in units.NAMES.items():
            place = where.units / name
            if not place.exists():
                continue
            try:
                wanted = wanted_units(where, config, installation.programs())[role]
            except RbeeError:
                continue  # not installed: the programs tell it
            text = place.read_text(encoding="utf-8", errors="replace")
            if text.startswith(units.MARK):
                (present if text == wanted else outdated).append(str(place))
        sudo = "sudo " if where.state is None else ""
        found += programs.units(outdated, present, f"{sudo}rbee-keeper install {flags}")
    return found
