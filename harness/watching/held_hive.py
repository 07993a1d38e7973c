"""Somebody else's queen, as far as a hive sees her: who holds its lifeline."""

import json
import os
import secrets
import time

import psutil

from harness.world.run import Run
from harness.world.world import World


def start_hive(world: World, **secret: str) -> Run:
    """A hive whose lifeline the harness holds; `secret` is told on its first line. It asks for the
    world's key."""
    if not world.key_file.exists():
        world.key_file.parent.mkdir(mode=0o700, exist_ok=True)
        world.key_file.write_text(secrets.token_urlsafe(32) + "\n")
        world.key_file.chmod(0o600)
    owner = {
        "program": "queen-rbee",
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "host": f"harness-{int(time.time())}",
    }
    hello = json.dumps({"api_key": world.key, "owner": owner, **secret})
    run = world.start("rbee-hive daemon --lifeline", stdin=hello + "\n", held=True)
    world.closes(lambda: _end(run))
    run.ready()
    return run


def _end(run: Run) -> None:
    """As when the queen goes."""
    run.let_go()
    run.wait(within=15)
