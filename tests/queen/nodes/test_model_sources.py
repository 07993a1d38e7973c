"""Where a node can get a model from, and how its hive reaches the other one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from rbee.contract.config import Config, HiveSection, TimesSection
from rbee.contract.errors import ModelNotFound, SshConnectionFailed
from rbee.contract.models import DownloadRequest, ModelSource, Resolved, SharedFile, SharedModel
from rbee.contract.registry import LOCAL
from rbee.queen.nodes.hive import Hive
from rbee.queen.nodes.hosts import LocalHost
from rbee.queen.nodes.local_hive import LocalHive
from rbee.queen.nodes.model_sources import offered, start
from rbee.queen.ssh.connection import SshConnection
from rbee.runtime.broadcast import Broadcast

from .conftest import Start, UrlNode
from .fake_hive import FakeHive

MODEL = "hf:owner/repo/m.gguf"
RESOLVE, SHARE = "/v1/models/resolve", "/v1/models/share"
SHARED = SharedModel(MODEL, [SharedFile("m.gguf", 3, "0" * 64)], "t" * 43, 0.05)


def says(value: object) -> Callable[[], Awaitable[object]]:
    async def reply() -> object:
        if isinstance(value, Exception):
            raise value
        return value

    return reply


class FakeSsh:
    """A node's SSH connection, on which somebody may be reached back."""

    is_connected = is_direct = True

    def __init__(self) -> None:
        self.led_to: list[tuple[str, int]] = []
        self.closed = 0
        self.refuses = False

    async def forward_back(self, host: str, port: int) -> tuple[int, Callable[[], None]]:
        if self.refuses:
            raise SshConnectionFailed(host="node", port=22, reason="it forwards nothing")
        self.led_to.append((host, port))
        return 4444, self._close

    def _close(self) -> None:
        self.closed += 1

    async def close(self) -> None:
        """Nothing is open."""


class Lab:
    """This machine's hive, which has the model, and a node without it."""

    def __init__(self, node: UrlNode, local: Hive, fake: FakeHive) -> None:
        self.node, self.local, self.fake = node, local, fake
        self.ssh = FakeSsh()

    def reach_over_ssh(self) -> None:
        self.node.hive.host.remote = cast(SshConnection, self.ssh)  # type: ignore[misc]

    async def sources(self, model: str = MODEL, **wanted: Any) -> list[ModelSource]:
        request = DownloadRequest(model, **wanted)
        async with offered(self.node.hive, request, [self.local]) as found:
            assert self.ssh.closed == 0
            return found


@pytest.fixture
async def lab(url_node: UrlNode, fake_hive: Start) -> AsyncIterator[Lab]:
    fake = await fake_hive()
    url_node.fake.replies[RESOLVE] = says(Resolved(None))
    fake.replies[SHARE] = says(SHARED)
    config = Config(hive=HiveSection(port=fake.port), times=TimesSection(connect_s=1))
    local = Hive(LocalHost(config, fake.key, LocalHive(config)), config, Broadcast())
    assert await local.discover()
    async with asyncio.timeout(10):
        yield Lab(url_node, local, fake)
    await local.close()


async def test_this_machine_is_reached_back_through_the_nodes_ssh_connection(lab: Lab) -> None:
    lab.reach_over_ssh()
    found = await lab.sources()
    assert found == [ModelSource(LOCAL, "http://127.0.0.1:4444", lab.fake.url, SHARED)]
    assert lab.ssh.led_to == [("127.0.0.1", lab.fake.port)]
    assert lab.ssh.closed == 1


async def test_for_a_detached_download_the_way_back_stays_until_the_ticket_expires(
    lab: Lab,
) -> None:
    lab.reach_over_ssh()
    await lab.sources(detach=True)
    assert lab.ssh.closed == 0
    await asyncio.sleep(SHARED.expires_in_s + 0.05)
    assert lab.ssh.closed == 1


async def test_where_there_is_no_way_back_there_is_no_source(lab: Lab) -> None:
    assert await lab.sources() == []
    lab.reach_over_ssh()
    lab.ssh.refuses = True
    assert await lab.sources() == []


async def test_another_node_is_reached_at_its_own_address(lab: Lab) -> None:
    lab.node.fake.replies[SHARE] = says(SHARED)
    lab.fake.replies[RESOLVE] = says(Resolved(None))
    async with offered(lab.local, DownloadRequest(MODEL), [lab.node.hive]) as found:
        assert found == [ModelSource(lab.node.hive.node, lab.node.fake.url, None, SHARED)]


async def test_who_has_the_model_asks_nobody(lab: Lab) -> None:
    lab.reach_over_ssh()
    lab.node.fake.replies[RESOLVE] = says(Resolved(MODEL))
    assert await lab.sources() == []
    assert SHARE not in lab.fake.asked


@pytest.mark.parametrize("model", ["file:/m.gguf", "bundled:smollm2-135m-instruct", "what?"])
async def test_only_models_of_the_hub_are_asked_for(lab: Lab, model: str) -> None:
    assert await lab.sources(model) == []
    assert RESOLVE not in lab.node.fake.asked


async def test_a_hive_without_the_model_is_no_source(lab: Lab) -> None:
    lab.reach_over_ssh()
    lab.fake.replies[SHARE] = says(ModelNotFound(model=MODEL, near=[]))
    assert await lab.sources() == []
    assert SHARE in lab.fake.asked


async def test_hives_that_run_or_that_nobody_can_start_are_not_started(lab: Lab) -> None:
    said: list[str] = []
    await lab.node.fake.close()
    assert await start([lab.local, lab.node.hive], lambda *line: said.append(line[2])) == []
    assert said == []


async def test_there_is_nothing_to_ask_where_there_is_no_other_node(home: Path) -> None:
    config = Config()
    hive = Hive(LocalHost(config, "key", LocalHive(config)), config, Broadcast())
    assert hive.others() == []
    async with offered(hive, DownloadRequest(MODEL), []) as found:
        assert found == []
