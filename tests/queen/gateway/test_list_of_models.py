"""The list of models comes from memory."""

from __future__ import annotations

import asyncio

from aiohttp.test_utils import TestClient, TestServer

from rbee.contract.config import ModelsSection
from rbee.contract.models import NodeModelRow, NodeModelRows
from rbee.queen.gateway.openai import routes
from rbee.queen.gateway.room import Room
from rbee.queen.nodes.catalog import Catalog
from rbee.runtime import server
from rbee.runtime.lifecycle import Lifecycle
from tests.queen.gateway.conftest import Queen


async def test_the_list_of_models_never_waits_for_a_node() -> None:
    """After the first reading, no node answers any more."""
    rows = [_row(number) for number in range(1000)]
    asked = 0

    async def read() -> NodeModelRows:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.Event().wait()
        return NodeModelRows(rows, [])

    catalog = Catalog(read, list)
    await catalog.read(5)
    waiting = asyncio.create_task(catalog.read(60))
    app = server.application(Lifecycle("queen-rbee", None, None))
    routes.add(app, Room(Queen(), catalog, ModelsSection()))
    async with TestClient(TestServer(app)) as client:
        async with asyncio.timeout(5):
            reply = await client.get("/v1/models")
            found = {model["id"] for model in (await reply.json())["data"]}
    assert asked == 2 and not waiting.done()
    assert found >= {row.reference for row in rows}
    waiting.cancel()
    await catalog.close()


def _row(number: int) -> NodeModelRow:
    return NodeModelRow(
        id=number,
        provider="hf",
        reference=f"hf:owner/repo-{number}/a-model.gguf",
        local_path="/m",
        size_bytes=1,
        downloaded_at_unix=5,
        quantization=None,
        sha256=None,
        state="ready",
        node=f"node-{number % 25}",
    )
