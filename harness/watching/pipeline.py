"""A program with another one behind it, as a shell puts them together."""

import shlex

from harness.world.run import Run
from harness.world.world import World


def start(world: World, line: str, behind: str) -> Run:
    """`line | behind`. Its exit code is that of the first of them."""
    first = shlex.join(world.commands.resolve(world.expand(line)))
    script = f"{first} | {behind}; exit ${{PIPESTATUS[0]}}"
    argv = ["/bin/bash", "-c", script]
    name = f"{len(world.runs) + 1:02}-pipeline"
    run = Run(argv, world.environment(), world.evidence.folder, name)
    world.runs.append(run)
    return run
