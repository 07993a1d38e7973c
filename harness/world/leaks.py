"""That nothing of a world lives any more when its scenario has ended."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil

from harness.world import processes
from harness.world.waiting import NeverHappenedError, wait_until

if TYPE_CHECKING:
    from harness.world.world import World

_SHUTDOWN_S = 20  # three graces of 5 s, one inside the other, and some air


class LeakError(AssertionError):
    """A scenario left processes running."""


def check(world: World) -> None:
    """Stop what was started to last, then see that nothing else is left."""
    _stop_lasting(world)
    leaked = [processes.describe(process) for process in world.processes()]
    if leaked:
        raise LeakError("the scenario left these running:\n  " + "\n  ".join(leaked))


def kill(world: World) -> None:
    """Again until none is left: one may have started another in between."""

    def left() -> list[psutil.Process]:
        found = world.processes()
        processes.kill(found)
        return found

    wait_until("killed processes to be gone", left, within=5, good=lambda found: not found)


def _stop_lasting(world: World) -> None:
    told = [process for process in world.processes() if process.pid in world.lasting]
    for process in told:
        process.send_signal(signal.SIGTERM)
    if told:
        try:
            world.wait_until_empty(_SHUTDOWN_S)
        except NeverHappenedError as error:
            raise LeakError(f"after SIGTERM to every daemon: {error}") from error
