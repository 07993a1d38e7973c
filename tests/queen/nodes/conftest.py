"""A hive that can be bent, and a queen's end of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.config import Config, TimesSection
from rbee.contract.registry import NodeRow
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.nodes import host_of
from rbee.runtime.broadcast import Broadcast
from tests.queen.conftest import trust
from tests.queen.sshd import Sshd

from .fake_hive import FakeHive
from .lab import NAME, Lab

Start = Callable[..., Awaitable[FakeHive]]
Make = Callable[..., Lab]


@pytest.fixture
async def fake_hive() -> AsyncIterator[Start]:
    """Begin one, on a port if one is given."""
    async with AsyncExitStack() as stack:

        async def begin(port: int = 0) -> FakeHive:
            hive = FakeHive()
            await hive.begin(port)
            stack.push_async_callback(hive.close)
            return hive

        yield begin


@pytest.fixture
async def make(sshd: Sshd, home: Path, fake_hive: Start) -> AsyncIterator[Make]:
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)
    fake = await fake_hive()
    async with AsyncExitStack() as stack:

        def begin(**fields: Any) -> Lab:
            lab = Lab(sshd, fake, **fields)
            stack.push_async_callback(lab.hive.close)
            return lab

        yield begin
        async with asyncio.timeout(10):
            await stack.aclose()


class UrlNode:
    """A node whose hive is reached at its URL: `fake`."""

    def __init__(self, fake: FakeHive, hive: Hive) -> None:
        self.fake, self.hive = fake, hive


@pytest.fixture
async def url_node(fake_hive: Start, home: Path) -> AsyncIterator[UrlNode]:
    """Such a node, found."""
    key = home / "key"
    key.write_text("key-of-the-node")
    fake = await fake_hive()
    config = Config(times=TimesSection(connect_s=1))
    row = NodeRow(node_name=NAME, hive_url=fake.url, api_key_file=str(key))
    hive = Hive(host_of(row, config), config, Broadcast())
    assert await hive.discover()
    yield UrlNode(fake, hive)
    await hive.close()
