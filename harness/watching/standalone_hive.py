"""Hives that no queen of the world started.

An operator's on another node, and one whose lifeline the harness holds in the place of a queen.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import psutil

from harness.ssh.node import Node, add_node
from harness.world.http_client import call
from harness.world.run import Run
from harness.world.world import World


class StandaloneHive:
    """Listens from its creation on; ends with the world."""

    def __init__(self, world: World, node: Node) -> None:
        self.node = node
        node.set("hive", "host", node.address)
        node.set("hive", "port", node.hive_port)
        node.set("hive", "worker_host", node.address)
        argv = [*world.commands.argv("hive"), "daemon"]
        name = f"{len(world.runs) + 1:02}-hive-{node.name}"
        self.run = Run(argv, node.environment(), world.evidence.folder, name)
        world.runs.append(self.run)
        world.expected_daemons.add(self.run.pid)
        ready = self.run.ready()
        assert ready["pid"] == self.run.pid, f"{ready} is not from pid {self.run.pid}"

    @property
    def key_file(self) -> str:
        return str(self.node.home / ".rbee" / "api_key")

    @property
    def key(self) -> str:
        return (self.node.home / ".rbee" / "api_key").read_text().strip()

    def workers(self) -> list[dict[str, Any]]:
        """Its own list of workers."""
        reply = call("GET", f"{self.node.hive_url}/v1/workers/list", key=self.key)
        assert reply.status == 200, (reply.status, reply.body)
        return list(reply.json["workers"])

    def only_worker(self) -> dict[str, Any]:
        found = self.workers()
        assert len(found) == 1, f"one worker was expected: {found}"
        return found[0]

    def process(self) -> psutil.Process:
        """The process that listens at its address."""
        return next(each for each in self.node.processes() if each.pid == self.run.pid)

    def add(self, world: World) -> None:
        """Add its node to the queen's registry."""
        added = world.start(
            f"rbee-keeper setup add-node --name {self.node.name}"
            f" --hive-url {self.node.hive_url} --api-key-file {self.key_file}"
        )
        assert added.wait(within=30) == 0, added.stderr.text


def add_with_hives(
    world: World, *names: str, prepare: Callable[[Node], None] = lambda _: None
) -> dict[str, StandaloneHive]:
    """Make a node of each name, `prepare` it, have an operator start its hive, and add it."""
    nodes = [add_node(world, name) for name in names]
    for node in nodes:
        prepare(node)
    hives = {node.name: StandaloneHive(world, node) for node in nodes}
    for hive in hives.values():
        hive.add(world)
    return hives


def start_owned_hive(world: World, owner: object = None, **secret: str) -> Run:
    """Start a hive whose lifeline the harness holds, as the `owner` or as a queen of another
    machine; `secret` goes into its first line. The hive asks for the world's key."""
    world.ensure_key()
    another = {
        "program": "queen-rbee",
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "host": f"harness-{int(time.time())}",
    }
    hello = json.dumps({"api_key": world.key, "owner": owner or another, **secret})
    run = world.start("rbee-hive daemon --lifeline", stdin=hello + "\n", held=True)
    world.add_cleanup(lambda: _end(run))
    run.ready()
    return run


def _end(run: Run) -> None:
    """Close the lifeline, as when the queen ends."""
    run.close_stdin()
    run.wait(within=15)
