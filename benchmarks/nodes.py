"""Nodes over SSH: how soon the first token of another machine arrives, and what many nodes cost.

    python -m benchmarks.nodes [--rounds 5] [--kind embedded|sshd]

It runs in a world of the harness, with the bundled model. The time to first token is from Enter to
the first byte of the story. "Only sshd is up": neither queen nor hive runs. "Hive up, model on
disk": both run, and the worker still has to start. Each is compared with the same on this machine,
interleaved by round. Then it compares one node with 50, of which 25 accept connections and never
answer: a listing, and an answer from another node. The figures are medians in milliseconds, with
the lowest and the highest, and the target in brackets.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.model_files.cache import ModelFiles
from harness.ssh.node import add_node
from harness.world.commands import Commands
from harness.world.evidence import Evidence
from harness.world.network import BlackHolePort
from harness.world.world import World

ASK = 'rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --quiet'
NODES, AWAY = 50, 25


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kind", choices=["embedded", "sshd"], default="embedded")
    given = parser.parse_args()
    shelf = ModelFiles()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Commands({}), shelf, Evidence(Path(folder), "nodes"))
        try:
            measure(world, given.rounds, given.kind)
        finally:
            world.end(judge=False)
            shelf.close()


def measure(world: World, rounds: int, kind: str) -> None:
    """Measure with one node, then with fifty."""
    key = add_node(world, "workstation", kind=kind).fingerprint
    add = "rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa"
    run(world, f"{add} --accept-host-key {key}")
    run(world, f"{ASK} --node workstation")  # fills the caches of files and bytecode
    row("only sshd is up", [first_token(world, "workstation") for _ in range(rounds)], 1400)
    row("  the same on this machine", [first_token(world, "localhost") for _ in range(rounds)])
    far, near = [], []
    for _ in range(rounds):
        with_hive(world, "workstation", far)
        with_hive(world, "localhost", near)
    row("hive up, model on disk", far, 550)
    row("  the same on this machine", near)

    run(world, "rbee-keeper daemon start")
    run(world, f"{ASK} --node workstation")
    alone = listing_and_answer(world, rounds)
    run(world, "rbee-keeper daemon stop")
    many(world)
    run(world, "rbee-keeper daemon start")
    run(world, f"{ASK} --node workstation")
    crowded = listing_and_answer(world, rounds)
    run(world, "rbee-keeper daemon stop")
    for what in alone:
        row(f"{what}, 1 node", alone[what])
        row(f"  with {NODES} nodes, {AWAY} of them unreachable", crowded[what])


def first_token(world: World, node: str) -> float:
    """Milliseconds from Enter. What the command started is gone afterwards."""
    asked = world.start(f"{ASK} --node {node}")
    assert asked.wait(60) == 0, asked.stderr.text
    return 1000 * (asked.stdout.pieces[0][0] - asked.began)


def with_hive(world: World, node: str, times: list[float]) -> None:
    """Measure with a persistent queen and hive, and no worker."""
    run(world, f"rbee-keeper hive start --node {node}")
    times.append(first_token(world, node))
    run(world, "rbee-keeper daemon stop")


def many(world: World) -> None:
    """Add 49 nodes to the config file: aliases of the first one, and hosts that never answer."""
    here = world.nodes["workstation"].host
    deaf = [world.network.address(100 + number) for number in range(AWAY)]
    for address in deaf:
        world.add_cleanup(BlackHolePort(address, 22).close)
        world.add_cleanup(BlackHolePort(address, 9200).close)
    for number in range(NODES - 1):
        host = deaf[number] if number < AWAY else here
        world.set(f"nodes.n{number:02}", "ssh_host", host)


def listing_and_answer(world: World, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each command, with a warm worker on the node."""
    lines: dict[str, Callable[[], float]] = {
        "setup list-nodes": lambda: run(world, "rbee-keeper setup list-nodes"),
        "an answer from a named node": lambda: run(world, f"{ASK} --node workstation"),
        "an answer from any node": lambda: run(world, ASK),
    }
    found: dict[str, list[float]] = {what: [] for what in lines}
    for _ in range(rounds):
        for what, line in lines.items():
            found[what].append(line())
    return found


def run(world: World, line: str) -> float:
    """Run a command to its end; milliseconds."""
    command = world.start(line)
    assert command.wait(90) == 0, command.stderr.text
    return 1000 * command.took


def row(what: str, times: list[float], wanted: float | None = None) -> None:
    """Print the median, the spread and the target."""
    spread = f"{min(times):.0f}…{max(times):.0f}"
    aim = f"  [{wanted:.0f}]" if wanted else ""
    print(f"{what:42}{statistics.median(times):8.0f}   {spread:>12}{aim}", flush=True)


if __name__ == "__main__":
    main()
