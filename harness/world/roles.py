"""Which process plays which part, told by its command line: also before it listens anywhere."""

from collections.abc import Sequence

import psutil

from harness.world.waiting import wait_until
from harness.world.world import World

PROGRAMS = ("queen", "hive", "worker")


def role_of(world: World, process: psutil.Process) -> str | None:
    """`queen`, `hive` or `worker`; None for anything else, such as a command that asks and ends."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return None
    for role in PROGRAMS:
        command = world.commands.argv(role)
        wanted = [*command, "--model"] if role == "worker" else [*command, "daemon"]
        if _holds(words, wanted):
            return role
    return None


def _holds(words: Sequence[str], wanted: Sequence[str]) -> bool:
    places = range(len(words) - len(wanted) + 1)
    return any(words[place : place + len(wanted)] == list(wanted) for place in places)


def all_of(world: World, role: str) -> list[psutil.Process]:
    return [process for process in world.processes() if role_of(world, process) == role]


def first_of(world: World, role: str, within: float = 20) -> psutil.Process:
    """The process of that role, as soon as there is one."""
    return wait_until(f"a {role} to be started", lambda: all_of(world, role), within)[0]
