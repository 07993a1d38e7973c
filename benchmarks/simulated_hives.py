"""Hives of as many nodes as wanted in one process, for `benchmarks.lists`: they compute nothing.

    python -m benchmarks.simulated_hives NODES WORKERS MODELS

They speak the contract, each at an address of its own (`address_of`), all at the port that is
printed. Each node has a card, twenty of the models on its disk, and its share of the workers, which
are idle: nothing answers at their addresses.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from aiohttp import web

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.events import Event, Snapshot
from rbee.contract.models import ModelRow, ModelRows
from rbee.contract.nodes import DeviceMemory, HeldModel, HiveHealth, NodeFacts, NodeInfo
from rbee.contract.workers import WorkerRow, WorkerRows
from rbee.runtime import server
from rbee.runtime.lifecycle import Lifecycle

KEY = "key-of-simulated-hives"
GB = 1_000_000_000
_DEVICES = {"cuda": 1, "cpu": 1}


def address_of(node: int) -> str:
    """The loopback address of the node with this number."""
    return f"127.7.{node // 250}.{node % 250 + 1}"


def model(number: int) -> str:
    """The reference of the model with this number."""
    return f"hf:owner/model-{number}-GGUF/model-{number}-Q4_K_M.gguf"


class Hives:
    """`nodes` hives, `workers` workers on them, of `models` models."""

    def __init__(self, nodes: int, workers: int, models: int) -> None:
        chance = random.Random(1)
        self._held = [chance.sample(range(models), min(20, models)) for _ in range(nodes)]
        self._workers: list[list[WorkerRow]] = [[] for _ in range(nodes)]
        self._numbers = {address_of(node): node for node in range(nodes)}
        for number in range(workers):
            node = number % nodes
            self._workers[node].append(_worker(number, address_of(node), model(number % models)))

    def application(self) -> web.Application:
        app = server.application(Lifecycle("rbee-hive", None, KEY))
        server.answer(app, ep.HIVE_HEALTH, self._health)
        server.answer(app, ep.HIVE_NODE, self._node)
        server.answer(app, ep.HIVE_WORKERS, self._list)
        server.answer(app, ep.HIVE_MODELS, self._models)
        server.stream(app, ep.HIVE_EVENTS, self._events)
        return app

    async def _health(self, _: web.Request, __: ep.Nothing) -> HiveHealth:
        return HiveHealth("alive", __version__, "v1")

    async def _node(self, _: web.Request, __: ep.Nothing) -> NodeInfo:
        return NodeInfo(["cuda", "cpu"], _DEVICES, _memory(), 64 * GB, 32 * GB, GB, "running", None)

    async def _list(self, request: web.Request, _: ep.Nothing) -> WorkerRows:
        return WorkerRows(self._workers[self._number(request)])

    async def _models(self, request: web.Request, _: ep.Nothing) -> ModelRows:
        held = self._held[self._number(request)]
        return ModelRows([_on_disk(each) for each in held], "/models", 200 * GB, GB)

    async def _events(self, request: web.Request, _: ep.Nothing) -> AsyncIterator[Event | None]:
        node = self._number(request)
        held = [HeldModel(model(each), "Q4_K_M", 5 * GB, 6 * GB) for each in self._held[node]]
        facts = NodeFacts(["cuda", "cpu"], _DEVICES, _memory(), held, 100 * GB)
        yield Snapshot(self._workers[node], facts)
        await asyncio.Event().wait()

    def _number(self, request: web.Request) -> int:
        return self._numbers[str(urlsplit(f"//{request.host}").hostname)]


def _memory() -> list[DeviceMemory]:
    return [DeviceMemory("cuda", 0, "card", 24 * GB, 2 * GB)]


def _worker(number: int, host: str, reference: str) -> WorkerRow:
    return WorkerRow(
        id=f"worker-{number:08d}-aaaa-bbbb-cccc-dddddddddddd",
        url=f"http://{host}:8001",
        model_ref=reference,
        backend="cuda",
        device=0,
        state="idle",
        last_activity=1_700_000_000,
        last_health=1_700_000_000,
        slots_total=1,
        slots_available=1,
    )


def _on_disk(number: int) -> ModelRow:
    return ModelRow(
        id=number,
        provider="hf",
        reference=model(number),
        local_path=f"/models/{number}.gguf",
        size_bytes=5 * GB,
        downloaded_at_unix=1_700_000_000,
        quantization="Q4_K_M",
        sha256=None,
        state="ready",
    )


async def main(hives: Hives) -> None:
    """Serve until standard input ends."""
    runner = web.AppRunner(hives.application(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "0.0.0.0", 0, backlog=2048)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(Hives(*map(int, sys.argv[1:4]))))
