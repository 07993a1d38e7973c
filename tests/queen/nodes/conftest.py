"""A hive that can be bent, and a queen's end of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.queen.conftest import trust
from tests.queen.sshd import Sshd

from .fake_hive import FakeHive
from .lab import Lab

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
