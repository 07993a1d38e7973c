"""How much main memory this process can have: the machine's, or less where a control group (a
container, a systemd unit) limits it. Linux only tells so on request.

Sources: cgroups(7); the kernel's cgroup-v2.rst ("Memory Interface Files") and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from rbee.runtime import kernel

_PROC, _ROOT = Path("/proc/self"), Path("/")
# The names of the files with a limit, with what counts towards it, and what of that is given back
# when memory is wanted: files that were read, and what the kernel keeps of them. lxcfs counts so.
_V2 = (
    ("memory.max", "memory.high"),
    "memory.current",
    ("inactive_file", "active_file", "slab_reclaimable"),
)
_V1 = (
    ("memory.limit_in_bytes",),
    "memory.usage_in_bytes",
    ("total_inactive_file", "total_active_file", "slab_reclaimable"),
)


class MainMemory(msgspec.Struct, frozen=True):
    """In bytes. `available` can be had without swapping."""

    total: int
    available: int


def main_memory() -> MainMemory:
    """The memory of this machine, within the limits of this process's groups."""
    return within_groups(MainMemory(*kernel.main_memory()))


def within_groups(memory: MainMemory, proc: Path = _PROC, root: Path = _ROOT) -> MainMemory:
    """As much of `memory` as all groups allow, those around this process's own included. `proc` is
    the process's folder, and the groups are mounted below `root`."""
    for folder, (limits, usage, unused) in _groups(proc, root):
        for limit in limits:
            if (most := _number(folder / limit)) is None:
                continue
            used = (_number(folder / usage) or 0) - _statistics(folder / "memory.stat", unused)
            free = max(most - max(used, 0), 0)
            memory = MainMemory(min(memory.total, most), min(memory.available, free))
    return memory


def _groups(
    proc: Path, root: Path
) -> Iterator[tuple[Path, tuple[tuple[str, ...], str, tuple[str, ...]]]]:
    """The folder of each group, from the process's own up, with the names of its files."""
    try:
        own = [line.split(":", 2) for line in (proc / "cgroup").read_text().splitlines()]
        mounts = [line.split() for line in (proc / "mountinfo").read_text().splitlines()]
    except (OSError, ValueError):  # not Linux, or none of our business
        return
    for number, controllers, path in (words for words in own if len(words) == 3):
        for words in mounts:
            kind, options = _kind(words)
            second = kind == "cgroup2" and number == "0"
            first = kind == "cgroup" and "memory" in options and "memory" in controllers.split(",")
            if not (first or second):
                continue
            # A container sees its own group as the root of what is mounted.
            top, place = words[3].rstrip("/"), root / words[4].lstrip("/")
            below = path[len(top) :] if path.startswith(f"{top}/") else ""
            parts = [part for part in below.split("/") if part not in ("", "..")]
            for depth in range(len(parts), -1, -1):
                yield place.joinpath(*parts[:depth]), _V2 if second else _V1


def _kind(mount: list[str]) -> tuple[str, list[str]]:
    """The type of a file system, and its options, from a line of mountinfo."""
    after = mount[mount.index("-") + 1 :] if "-" in mount else []
    return (after[0], after[2].split(",")) if len(after) > 2 else ("", [])


def _number(file: Path) -> int | None:
    """What stands in a file; None for "max", and where there is no such file. Version 1 has a
    number that no machine reaches where there is no limit."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _statistics(file: Path, names: tuple[str, ...]) -> int:
    """The sum of some figures of a file."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return 0
    return sum(int(words[1]) for words in lines if words and words[0] in names)
