"""A worker's program that says of itself that it can use graphics cards, and computes on the CPU.

A hive believes what the program says, as it must: nobody else knows what its llama.cpp can do.
"""

import json
import shlex
from collections.abc import Sequence

from harness.breaking.graphics_card import Card
from harness.world.commands import options
from harness.world.world import World

_MIB = 1 << 20
_SCRIPT = """\
#!/bin/sh
if [ "$1" = detect ]; then
    exec cat {usable}
fi
printf '%s\\n' "$@" >{arguments}
left=$# last=
while [ $left -gt 0 ]; do
    word=$1
    shift
    left=$((left - 1))
    case "$last" in
        --backend) set -- "$@" cpu ;;
        --device) set -- "$@" 0 ;;
        *) set -- "$@" "$word" ;;
    esac
    last=$word
done
exec {worker} "$@"
"""


class CudaWorker:
    """From its creation on, the world's workers are started with that program."""

    def __init__(self, world: World, cards: Sequence[Card]) -> None:
        self._arguments = world.root / "arguments-of-the-worker"
        usable = world.root / "usable.json"
        memory = [
            {
                "backend": "cuda",
                "index": index,
                "name": card.name,
                "memory_total_bytes": card.total * _MIB,
                "memory_free_bytes": card.free * _MIB,
            }
            for index, card in enumerate(cards)
        ]
        found = {"backends": ["cuda", "cpu"], "devices": {"cuda": len(memory), "cpu": 1}}
        usable.write_text(json.dumps({**found, "memory": memory}))
        path = world.root / "cuda-worker"
        path.write_text(
            _SCRIPT.format(
                usable=usable,
                arguments=self._arguments,
                worker=shlex.join(world.commands.argv("worker")),
            )
        )
        path.chmod(0o755)
        world.set("worker", "command", str(path))
        # A standby worker gets its arguments later, where the script can't see them.
        world.set("hive", "standby_workers", 0)

    def options(self) -> dict[str, str]:
        """What the last worker was started with."""
        return options(self._arguments.read_text().splitlines())
