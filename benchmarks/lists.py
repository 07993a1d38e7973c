"""How long the lists take with many nodes, workers and waiting tasks.

    python -m benchmarks.lists [--nodes 1000] [--workers 5000] [--waiting 10000] [--requests 50]

The queen's parts and routes are the real ones, behind a real server on loopback. It knows its nodes
by the event streams of `benchmarks.simulated_hives`, a process of its own. Its scheduler has a task
for every slot, which does not end, and those that wait. For each list: the median and the slowest
of the requests, one after the other; the processor time of client and queen for one, which a busy
machine does not lengthen; and for how long the event loop stood at most: as long do the tokens of
others wait.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from aiohttp.test_utils import TestServer

from benchmarks.simulated_hives import KEY, address_of, model
from rbee.contract.config import Config, HiveSection, QueenSection
from rbee.contract.tasks import TaskRequest
from rbee.queen import routes
from rbee.queen.gateway.openai import routes as openai
from rbee.queen.gateway.room import Room
from rbee.queen.holds import Holds
from rbee.queen.keys.access import Access
from rbee.queen.nodes.catalog import Catalog
from rbee.queen.nodes.fleet import FleetWorker
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.nodes.models import NodeModels
from rbee.queen.nodes.nodes import Nodes
from rbee.queen.nodes.registry import Registry
from rbee.queen.tasks.dispatcher import Turn
from rbee.queen.tasks.scheduler import Scheduler
from rbee.queen.tasks.task import Task
from rbee.runtime import bind, server
from rbee.runtime.broadcast import Broadcast
from rbee.runtime.keyring import Caller
from rbee.runtime.lifecycle import Lifecycle

LISTS = (
    "/v2/nodes",
    "/v2/tasks",
    "/v2/decisions",
    "/v2/workers/list",
    "/v2/registry/beehives/list",
    "/v1/models",
    "/metrics",
)
_STEP_S = 0.001
_KNOWN_WITHIN_S = 120.0


class Queen:
    """The parts of a queen whose nodes are the simulated ones, behind `port`."""

    def __init__(self, folder: Path, nodes: int, port: int, waiting: int) -> None:
        key = folder / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        known = {
            f"node{number}": {
                "hive_url": f"http://{address_of(number)}:{port}",
                "api_key_file": str(key),
            }
            for number in range(nodes)
        }
        with bind.listening_socket("127.0.0.1", 0) as free:
            none = free.getsockname()[1]
        queen = QueenSection(queue_limit=2 * waiting, replicate_after_s=0)
        config = Config(queen=queen, hive=HiveSection(port=none))
        self.app = app = server.application(Lifecycle("queen-rbee", None, None))
        self.registry = Registry(folder / "beehives.db", lambda: known)
        self.nodes = Nodes(config, KEY, Broadcast(), self.registry, LocalHive(config))
        self.scheduler = Scheduler(config, self.nodes, _keep_slot)
        models = NodeModels(self.nodes, {}, self.scheduler.on_node)
        self.catalog = Catalog(models.running, self.nodes.seen_workers)
        app[routes.HOLDS], app[routes.ACCESS] = Holds(app[server.LIFECYCLE]), Access(config.models)
        app[routes.NODES], app[routes.SCHEDULER] = self.nodes, self.scheduler
        routes.add(app)
        room = Room(self.scheduler, self.catalog, config.models)
        openai.add(app, room)

    async def know(self, workers: int) -> None:
        """Wait until every node has told what it has."""
        await self.registry.open()
        deadline = time.monotonic() + _KNOWN_WITHIN_S
        while sum(len(node.workers) for node in self.nodes.fleet.nodes.values()) < workers:
            assert time.monotonic() < deadline, "the nodes are not known in time"
            await self.nodes.discover(within_s=5)
        await self.catalog.read(within_s=_KNOWN_WITHIN_S)

    async def fill(
        self, slots: int, waiting: int, models: int, keys: int = 200
    ) -> list[asyncio.Task[None]]:
        """Let a task take each slot, and so many wait. Each has a reader."""
        callers = [Caller(f"key{number}", "manage") for number in range(keys)]
        found = []
        for number in range(slots + waiting):
            asked = TaskRequest(prompt="hi", model=model(number % models))
            found.append(asyncio.create_task(self._read(asked, callers[number % keys])))
            if number % 100 == 0:
                await asyncio.sleep(0)
        deadline = time.monotonic() + _KNOWN_WITHIN_S
        while self.scheduler.waiting < waiting:
            ended = [task for task in found if task.done()]
            assert not ended and time.monotonic() < deadline, ended[:1] or self.scheduler.waiting
            await asyncio.sleep(0.1)
        return found

    async def _read(self, asked: TaskRequest, who: Caller) -> None:
        async for _ in self.scheduler.stream(asked, who):
            pass


async def _keep_slot(
    task: Task, hive: Hive, turn: Turn, worker: FleetWorker | None, is_told: bool
) -> None:
    """An attempt on a node, which is accepted and never ends."""
    turn.accepted()
    await asyncio.Event().wait()


class Standing:
    """For how long the event loop stood at most, in milliseconds. Only then is it no wait."""

    def __init__(self) -> None:
        self.most_ms = 0.0

    async def watch(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_STEP_S)
            self.most_ms = max(self.most_ms, (time.perf_counter() - began - _STEP_S) * 1000)


async def measure(given: argparse.Namespace, port: int, folder: Path) -> None:
    """Fill a queen, ask for each list, and print."""
    queen = Queen(folder, given.nodes, port, given.waiting)
    await queen.know(given.workers)
    reading = await queen.fill(given.workers, given.waiting, given.models)
    print("| list | median, ms | slowest, ms | processor time, ms | loop stands, ms | KB |")
    async with TestServer(queen.app) as running, aiohttp.ClientSession() as session:
        for path in LISTS:
            row = await _ask(session, str(running.make_url(path)), given.requests)
            print(f"| `{path}` | " + " | ".join(f"{each:.1f}" for each in row) + " |", flush=True)
    for task in reading:
        task.cancel()
    await asyncio.wait(reading)
    await queen.catalog.close()
    await queen.nodes.close()
    await queen.registry.close()


async def _ask(session: aiohttp.ClientSession, url: str, requests: int) -> tuple[float, ...]:
    took, spent, standing, size = [], [], Standing(), 0
    watching = asyncio.create_task(standing.watch())
    await asyncio.sleep(0.1)
    standing.most_ms = 0
    for _ in range(requests):
        began, busy = time.perf_counter(), time.process_time()
        async with session.get(url) as reply:
            assert reply.status == 200, await reply.text()
            size = len(await reply.read())
        spent.append((time.process_time() - busy) * 1000)
        took.append((time.perf_counter() - began) * 1000)
    watching.cancel()
    median = statistics.median
    return median(took), max(took), median(spent), standing.most_ms, size / 1000


@contextlib.contextmanager
def _hives(nodes: int, workers: int, models: int) -> Iterator[int]:
    """The port of the simulated hives."""
    command = [sys.executable, "-m", "benchmarks.simulated_hives"]
    command += [str(nodes), str(workers), str(models)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=5000)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=50)
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        _hives(given.nodes, given.workers, given.models) as port,
        tempfile.TemporaryDirectory() as folder,
    ):
        asyncio.run(measure(given, port, Path(folder)))


if __name__ == "__main__":
    main()
