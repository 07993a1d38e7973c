"""How long the list of models takes with 50 nodes, half of them asleep, and 1,000 models.

    python -m benchmarks.model_list [--requests 300]

The route, the room and the catalog are those of the queen, behind a real server on loopback. The
nodes are simulated: 25 have 40 models each, and the other 25 never answer, so that no reading of
the nodes ends. The figures are in milliseconds for one request, and for the same by its processor
time, which a busy machine does not lengthen.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager

import aiohttp
from aiohttp.test_utils import TestServer

from rbee.contract.config import ModelsSection
from rbee.contract.embeddings import EmbeddingReply, RerankReply
from rbee.contract.events import Event
from rbee.contract.models import NodeModelRow, NodeModelRows
from rbee.contract.tasks import TaskRequest
from rbee.queen.gateway.openai import routes
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import Catalog
from rbee.queen.tasks.task import VectorRequest
from rbee.runtime import server
from rbee.runtime.keyring import Caller
from rbee.runtime.lifecycle import Lifecycle

AWAKE, EACH = 25, 40


class Nodes:
    """What they have is known from before; asked again, some never answer."""

    def __init__(self) -> None:
        self.asked = 0

    async def read(self) -> NodeModelRows:
        self.asked += 1
        if self.asked > 1:
            await asyncio.Event().wait()
        rows = [_row(node, at) for node in range(AWAKE) for at in range(EACH)]
        return NodeModelRows(rows, [])


class NoTasks:
    """Nothing is asked of a model here."""

    def stream(
        self, request: TaskRequest, caller: Caller, has_place: bool = False
    ) -> AsyncGenerator[Event, None]:
        raise NotImplementedError

    def reserve(self, caller: Caller, most: int) -> AbstractContextManager[int]:
        raise NotImplementedError

    async def ask(self, request: VectorRequest, caller: Caller) -> EmbeddingReply | RerankReply:
        raise NotImplementedError


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=300)
    asyncio.run(measure(parser.parse_args().requests))


async def measure(requests: int) -> None:
    """Ask so often, and print what it took."""
    catalog = Catalog(Nodes().read, list)
    await catalog.read(within_s=5)
    app = server.application(Lifecycle("queen-rbee", None, None))
    routes.add(app, Room(NoTasks(), catalog, ModelsSection()))
    spent, took = [], []
    async with TestServer(app) as running, aiohttp.ClientSession() as session:
        for _ in range(requests):
            began, busy = time.perf_counter(), time.process_time()
            async with session.get(running.make_url("/v1/models")) as reply:
                body = await reply.read()
            spent.append((time.process_time() - busy) * 1000)
            took.append((time.perf_counter() - began) * 1000)
    await catalog.close()
    assert body.count(b'"object":"model"') >= AWAKE * EACH, body[:200]
    for name, found in (("took", took), ("processor", spent)):
        print(f"{name}: median {statistics.median(found):.1f} ms, most {max(found):.1f} ms")


def _row(node: int, at: int) -> NodeModelRow:
    number = node * EACH + at
    return NodeModelRow(
        id=number,
        provider="hf",
        reference=f"hf:owner-{number}/A-Model-{number}-GGUF/a-model-{number}-q4_k_m.gguf",
        local_path="/m",
        size_bytes=1,
        downloaded_at_unix=1_700_000_000,
        quantization="Q4_K_M",
        sha256=None,
        state="ready",
        node=f"node-{node}",
    )


if __name__ == "__main__":
    main()
