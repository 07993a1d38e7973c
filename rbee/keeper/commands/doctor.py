"""`rbee-keeper doctor`: everything that is checked, and what to type."""

from __future__ import annotations

import asyncio
import io
import sys
from typing import NoReturn

from rbee.keeper.commands.runner import PROGRAM, screen_of
from rbee.keeper.doctor.checkup import Checkup
from rbee.keeper.doctor.findings import Report
from rbee.runtime.command import Interrupts, run
from rbee.runtime.leave import INTERRUPTED
from rbee.runtime.screen import Screen


def doctor(**flags: object) -> NoReturn:
    """Check everything, whatever the config file says; 1 if there is a problem."""
    screen = screen_of(flags)
    sys.exit(run(PROGRAM, lambda: _doctor(screen), screen))


async def _doctor(screen: Screen) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without ✓ shows ?
    Interrupts()
    try:
        report = Report.of(await Checkup().run())
    except asyncio.CancelledError:
        screen.note("Canceled.")
        return INTERRUPTED
    screen.listing(report, report.text())
    return 1 if report.problems else 0
