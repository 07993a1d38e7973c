"""A llama.cpp that can use graphics cards, as far as its worker says so.

A program in front of the real worker answers `detect` with the cards, and starts every worker on
the CPU, after it has written down what the hive asked for. As long as one lives, nvidia-smi counts
it among those that take memory of the card.
"""

import json
import shlex
import sys
from collections.abc import Sequence

from harness.breaking.graphics_card import WORKERS, Card
from harness.ssh.node import Node
from harness.world.commands import options
from harness.world.world import World

_MIB = 1 << 20

_SCRIPT = """\
#!{python} -IS
import json, os, sys
words = sys.argv[1:]
if words[:1] == ["detect"]:
    print({usable!r})
    sys.exit(0)
with open({log!r}, "a") as log:
    log.write(json.dumps({{"pid": os.getpid(), "words": words}}) + "\\n")
for name, value in (("--backend", "cpu"), ("--device", "0")):
    if name in words:
        words[words.index(name) + 1] = value
real = {real!r}
os.execv(real[0], [*real, *words])
"""


class UsableCards:
    """From its creation on the world's workers are started like this."""

    def __init__(self, world: World | Node, cards: Sequence[Card]) -> None:
        """What it says of free memory is old: all of it."""
        self._log = world.root / WORKERS
        path = world.root / "worker-with-cards"
        usable = {
            "backends": ["cuda", "cpu"],
            "devices": {"cuda": len(cards), "cpu": 1},
            "memory": [
                {
                    "backend": "cuda",
                    "index": index,
                    "name": card.name,
                    "memory_total_bytes": card.total * _MIB,
                    "memory_free_bytes": card.total * _MIB,
                }
                for index, card in enumerate(cards)
            ],
        }
        real = world.commands.argv("worker")
        log, python = str(self._log), sys.executable
        path.write_text(
            _SCRIPT.format(python=python, usable=json.dumps(usable), log=log, real=real)
        )
        path.chmod(0o755)
        world.set("worker", "command", shlex.quote(str(path)))
        # A standby worker gets its arguments later, where the program can't see them.
        world.set("hive", "standby_workers", 0)

    def started_on(self) -> list[tuple[str, str]]:
        """Return the backend and the device of each worker that was asked for, in order."""
        if not self._log.exists():
            return []
        lines = self._log.read_text().splitlines()
        found = [options(json.loads(line)["words"]) for line in lines]
        return [(words["backend"], words["device"]) for words in found]
