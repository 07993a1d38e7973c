"""A worker's command that a person may have written: the worker, and beside it a child that ignores
every request to end. Only who ends the whole process group ends that."""

import os
import shlex
from pathlib import Path

import psutil

from harness.world.waiting import wait_until
from harness.world.world import World

_SCRIPT = """\
#!/bin/sh
# Who only asks what the worker can do gets no child with the answer.
if [ "$1" != detect ]; then
    (trap '' TERM INT HUP; exec sleep 600) </dev/null >/dev/null 2>&1 &
fi
exec {worker} "$@"
"""


def install(world: World) -> None:
    """From now on the world's workers are started so."""
    path = Path(world.root) / "stubborn-worker"
    path.write_text(_SCRIPT.format(worker=shlex.join(world.commands.argv("worker"))))
    path.chmod(0o755)
    world.set("worker", "command", str(path))


def child_of(world: World, worker: psutil.Process) -> psutil.Process:
    """The other process in the worker's process group."""

    def others() -> list[psutil.Process]:
        group = os.getpgid(worker.pid)
        found = [each for each in world.processes() if os.getpgid(each.pid) == group]
        return [each for each in found if each != worker]

    found = wait_until("a child of the worker", others, within=5)
    assert len(found) == 1, found
    return found[0]
