"""A soak: thousands of questions to two nodes, while clients leave and programs are killed.

    python -m benchmarks.soak [--questions 2000] [--clients 12] [--kill-every 8] [--seed 1]

It runs in a world of the harness with the bundled model on this machine and on one node over SSH. A
tenth of the clients leave at a random moment. Every few seconds a worker or a hive is killed, of
either machine. Then it prints how the questions ended, and ends with 1 if one of them hung, got its
tokens twice or out of order, ended without an outcome, or if a slot or a place in the queue was
lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from harness.model_files.cache import ModelFiles
from harness.ssh.node import add_node
from harness.world import cluster, processes
from harness.world.commands import Commands
from harness.world.evidence import Evidence
from harness.world.waiting import wait_until
from harness.world.world import World

NODE = "workstation"
_TOKENS = 12
# A question may be tried on three workers, each of which may be killed while it starts.
_BOUND_S = 60.0
_LEAVES = 0.1


class Soak:
    """The questions and their ends. `faults` are sentences about broken promises."""

    def __init__(self, world: World, questions: int, seed: int) -> None:
        self.ends: Counter[str] = Counter()
        self.took: list[float] = []
        self.faults: list[str] = []
        self.killed: Counter[str] = Counter()
        self.memory: list[float] = []
        self._world = world
        self._left = questions
        self._random = random.Random(seed)

    async def client(self) -> None:
        """Ask one question after the other, until all have been asked."""
        while self._left > 0:
            self._left -= 1
            leaves_after = None
            if self._random.random() < _LEAVES:
                leaves_after = self._random.uniform(0, 0.6)
            began = time.monotonic()
            asking = self._ask(self._random.randrange(40))
            try:
                end = await asyncio.wait_for(asking, leaves_after or _BOUND_S)
            except TimeoutError:
                end = "left" if leaves_after else "hung"
                if not leaves_after:
                    self.faults.append(f"a question had no end after {_BOUND_S:g} s")
            self.ends[end] += 1
            if end == "answered":
                self.took.append(time.monotonic() - began)

    async def _ask(self, number: int) -> str:
        """How the question ended."""
        parts = urlsplit(self._world.queen_url)
        asked = {"prompt": f"Count to {number}", "max_tokens": _TOKENS, "ignore_eos": True}
        body = json.dumps(asked).encode()
        head = (
            f"POST /v2/tasks HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
            f"Authorization: Bearer {self._world.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(head.encode() + body)
            return self._judge([line async for line in reader])
        finally:
            writer.close()

    def _judge(self, lines: list[bytes]) -> str:
        events: list[tuple[str, dict[str, Any]]] = []
        name = ""
        for line in lines:
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            elif line.startswith(b"data: {"):
                events.append((name, json.loads(line[6:])))
        status = lines[0].split()[1].decode() if lines else "nothing"
        if status != "200":
            return f"HTTP {status}"
        indices = [data["index"] for kind, data in events if kind == "token"]
        if indices != list(range(len(indices))):
            self.faults.append(f"the tokens of one answer came as {indices}")
        errors = [data["error"]["code"] for kind, data in events if kind == "error"]
        done = [data for kind, data in events if kind == "done"]
        if len(errors) + len(done) != 1:
            self.faults.append(f"an answer ended {len(done)} times, with the errors {errors}")
        if b"data: [DONE]\n" not in lines:
            self.faults.append(f"a stream had no end mark; its last lines: {lines[-4:]}")
        if done and len(indices) != _TOKENS:
            self.faults.append(f"a whole answer has {len(indices)} tokens")
        if errors:
            return f"{errors[0]} {'after' if indices else 'before'} the first token"
        return "answered"

    async def kill(self, every_s: float) -> None:
        """Kill a worker or a hive now and then, for as long as questions are asked."""
        queen = cluster.process_at(self._world, self._world.queen_url)
        while self._left > 0:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * every_s)
            self.memory.append(queen.memory_info().rss / 1e6)
            role = "hive" if self._random.random() < 0.25 else "worker"
            found = await asyncio.to_thread(cluster.processes_of, self._world, role)
            if found:
                victim = self._random.choice(found)
                try:
                    processes.send_sigkill(victim)
                except psutil.NoSuchProcess:
                    continue
                self.killed[role] += 1

    def look_at_the_rest(self) -> None:
        """Afterwards every slot is free and nobody waits."""
        wait_until(
            "the queen to have no task",
            self._metrics,
            10,
            lambda seen: seen["rbee_tasks_running"] == seen["rbee_queue_waiting"] == 0,
        )
        wait_until(
            "all slots to be free",
            lambda: cluster.queens_workers(self._world),
            20,
            lambda rows: all(row["slots_available"] == row["slots_total"] for row in rows),
        )
        end = asyncio.run(self._ask(7))
        if end != "answered":
            self.faults.append(f"the last question ended with {end}")

    def _metrics(self) -> dict[str, float]:
        text = self._world.call("GET", f"{self._world.queen_url}/metrics").body
        lines = [line.split() for line in text.decode().splitlines() if not line.startswith("#")]
        return {words[0]: float(words[1]) for words in lines if len(words) == 2}


def main() -> None:
    """Run it, print, and end with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--kill-every", type=float, default=8)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    shelf = ModelFiles()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Commands({}), shelf, Evidence(Path(folder), "soak"))
        try:
            _boot(world)
            soak = Soak(world, given.questions, given.seed)
            began = time.monotonic()
            asyncio.run(_all(soak, given.clients, given.kill_every))
            took = time.monotonic() - began
            soak.look_at_the_rest()
        finally:
            world.end(judge=False)
            shelf.close()
    _print(soak, took)
    sys.exit(1 if soak.faults else 0)


def _boot(world: World) -> None:
    key = add_node(world, NODE, kind="embedded").fingerprint
    add = f"rbee-keeper setup add-node --name {NODE} --ssh-host {NODE}.home.arpa"
    added = world.start(f"{add} --accept-host-key {key}")
    assert added.wait(30) == 0, added.stderr.text
    world.start_daemon("queen-rbee daemon")
    for node in ("localhost", NODE):
        cluster.ask(world, {"prompt": "hi", "max_tokens": 2, "node": node})


async def _all(soak: Soak, clients: int, every_s: float) -> None:
    killing = asyncio.create_task(soak.kill(every_s))
    await asyncio.gather(*(soak.client() for _ in range(clients)))
    killing.cancel()


def _print(soak: Soak, took: float) -> None:
    print(f"{sum(soak.ends.values())} questions in {took:.0f} s")
    for end, count in soak.ends.most_common():
        print(f"{end:44}{count:6}")
    for role, count in soak.killed.most_common():
        print(f"{'killed: ' + role:44}{count:6}")
    print(f"answered in s: median {statistics.median(soak.took):.2f}, most {max(soak.took):.1f}")
    print(f"the queen's memory, MB: {soak.memory[0]:.0f} at first, {soak.memory[-1]:.0f} at last")
    for fault, count in Counter(soak.faults).most_common():
        print(f"BROKEN {count} times: {fault}")


if __name__ == "__main__":
    main()
