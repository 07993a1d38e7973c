"""A control group for each world: the kernel itself keeps account of every process in it.

A child inherits it, whatever it does to its environment, its session or its parent, and can't leave
it by accident. The harness enters the group while the scenario runs, so that whatever it starts is
in it. It needs a cgroup2 hierarchy that the harness may write to, as root has. Without one,
`enter` returns None.
"""

import contextlib
import os
from pathlib import Path

from harness.world.waiting import wait_until

_OWN = Path("/proc/self/cgroup")
_MOUNTS = Path("/proc/self/mountinfo")


class ControlGroup:
    """Left and removed by `leave`, once no process but the harness is in it."""

    def __init__(self, folder: Path, before: Path) -> None:
        self._folder = folder
        self._before = before

    def pids(self) -> list[int]:
        """Every process in it but the harness, zombies excepted."""
        found = map(int, (self._folder / "cgroup.procs").read_text().split())
        return [pid for pid in found if pid != os.getpid()]

    def leave(self) -> None:
        """Wait for what was killed: a process that has much memory takes a while to end."""
        _move_to(self._before)
        wait_until(f"{self._folder} to be empty", self._removed, within=10)

    def _removed(self) -> bool:
        self._folder.rmdir()
        return True


def enter(name: str) -> ControlGroup | None:
    """Make a group of that name below the harness's own, and enter it."""
    before = _own_folder()
    if before is None:
        return None
    folder = before / name
    try:
        folder.mkdir()
    except OSError:
        return None
    try:
        _move_to(folder)
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()
        return None
    return ControlGroup(folder, before)


def can_be_made() -> bool:
    """Make one, and leave it: a folder that may be written to is not enough."""
    group = enter(f"rbee-trial-{os.getpid()}")
    if group:
        group.leave()
    return group is not None


def _move_to(folder: Path) -> None:
    (folder / "cgroup.procs").write_text(str(os.getpid()))


def _own_folder() -> Path | None:
    """The folder of the harness's own group, as cgroups(7) tells it. None where the kernel has no
    control groups."""
    try:
        groups, mounted = _OWN.read_text(), _MOUNTS.read_text()
    except OSError:
        return None
    own = [line[3:] for line in groups.splitlines() if line.startswith("0::")]
    mounts = [line.split() for line in mounted.splitlines()]
    roots = [words[4] for words in mounts if words[words.index("-") + 1] == "cgroup2"]
    return Path(roots[0]) / own[0].lstrip("/") if own and roots else None
