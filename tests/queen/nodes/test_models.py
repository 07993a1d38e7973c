"""What is asked of the models of a node that sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rbee.contract.errors import ConnectionTimeout
from rbee.contract.models import NodeModel, NodeSearch
from rbee.queen.nodes import models
from rbee.queen.nodes.models import NodeModels

from .conftest import UrlNode

ONE = NodeModel(model="hf:o/r", node="node")


async def _read(events: AsyncIterator[Any]) -> None:
    async for _ in events:
        pass


@pytest.mark.parametrize(
    "ask",
    [
        lambda models: models.info(ONE),
        lambda models: models.search(NodeSearch(words="w", node="node")),
        lambda models: models.delete(ONE),
        lambda models: _read(models.verify(ONE)),
        lambda models: _read(models.download(ONE)),
    ],
    ids=["info", "search", "delete", "verify", "download"],
)
async def test_the_node_is_woken_before_its_hive_is_asked(
    url_node: UrlNode, ask: Callable[[NodeModels], Awaitable[None]]
) -> None:
    async def make_ready(*_: object) -> None:
        raise ConnectionTimeout("It was woken, and did not come.", host="h", port=9, attempts=1)

    async def on_node(*_: object) -> None:
        raise AssertionError("a node is named")

    nodes: Any = SimpleNamespace(hive=lambda _: url_node.hive, make_ready=make_ready)
    before = list(url_node.fake.asked)
    with pytest.raises(ConnectionTimeout, match="woken"):
        await ask(NodeModels(nodes, {}, on_node))
    assert url_node.fake.asked == before


async def test_a_stream_is_open_while_its_node_is_woken(
    monkeypatch: pytest.MonkeyPatch, url_node: UrlNode
) -> None:
    """Its reader, which waits for half a minute, would take it for broken."""
    monkeypatch.setattr(models, "_OPENS_WITHIN_S", 0.01)
    comes = asyncio.Event()

    async def make_ready(*_: object) -> None:
        await comes.wait()
        raise ConnectionTimeout("It was woken, and did not come.", host="h", port=9, attempts=1)

    async def on_node(*_: object) -> None:
        raise AssertionError("a node is named")

    nodes: Any = SimpleNamespace(hive=lambda _: url_node.hive, make_ready=make_ready)
    events = NodeModels(nodes, {}, on_node).verify(ONE)
    assert await anext(events) is None
    comes.set()
    with pytest.raises(ConnectionTimeout, match="woken"):
        await anext(events)
