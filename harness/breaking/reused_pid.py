"""The pid files of the daemons, and somebody else who has such a pid by now."""

import json
import subprocess
import sys
import time
from pathlib import Path

from harness.world.waiting import wait_until
from harness.world.world import World

_LATER_S = 2.5
_MUTE = """
import socket, sys, time
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
time.sleep(600)
"""


def of(world: World, whose: str) -> Path:
    names = {"queen": "queen-rbee.pid", "hive": "hive-rbee.pid"}
    return world.home / ".rbee" / names[whose]


def pid_in(world: World, whose: str) -> int:
    return int(json.loads(of(world, whose).read_text())["pid"])


class Innocent:
    """A program that has nothing to do with all this. The kernel gave it the pid of one that died:
    the file that was left is changed to that effect, everything else in it stays."""

    def __init__(self, world: World, whose: str, address: tuple[str, int] | None = None) -> None:
        """With an `address` it listens there, and never says a word. It begins later than the one
        that died: the kernel gives no pid again before it has given all the others."""
        file = of(world, whose)
        left = json.loads(file.read_text())
        wait_until("time to go by", lambda: time.time() - float(left["started"]) > _LATER_S, 10)
        command = ["sleep", "600"] if address is None else [sys.executable, "-c", _MUTE, *address]
        self._process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        world.closes(self._end)
        if address is not None:
            assert self._process.stdout
            assert self._process.stdout.readline(), "it does not listen"
        file.write_text(json.dumps({**left, "pid": self._process.pid}) + "\n")

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
