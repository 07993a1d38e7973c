"""Meeting the hive that runs on a node already: used, left alone, or ended first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest

from rbee.contract.config import Config
from rbee.contract.errors import VersionMismatch
from rbee.contract.nodes import Owner
from rbee.queen.nodes import hive_discovery as meeting
from rbee.queen.nodes.hosts import LocalHost
from rbee.runtime.client import Client

from .conftest import Start
from .fake_hive import FakeHive

QUEEN = Owner("queen-rbee", 7, 1.5, "blep")


class FakeSite:
    node = "workstation"
    starts = True
    update = "the update of workstation"

    def __init__(self, *known: str) -> None:
        self.known = known

    async def reach(self, url: str) -> str:
        return url

    async def keys(self) -> AsyncIterator[str]:
        for key in self.known:
            yield key


class Met:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.clients: list[Client] = []
        self.hive: FakeHive

    def connect(self, url: str, key: str) -> Client:
        self.clients.append(Client(url, key, 2, 2))
        return self.clients[-1]

    async def find(self, *keys: str, url: str | None = None) -> tuple[Client, str] | None:
        return await meeting.find(
            FakeSite(*keys),  # type: ignore[arg-type]
            url or self.hive.url,
            self.connect,
            QUEEN,
            3,
            lambda _, __, text: self.said.append(text),
        )

    def assert_closed(self, but: int = 0) -> None:
        assert [client._session is None for client in self.clients].count(False) == but


@pytest.fixture
async def met(fake_hive: Start) -> AsyncIterator[Met]:
    async with AsyncExitStack() as stack:
        made = Met()
        made.hive = await fake_hive()
        yield made
        for client in made.clients:
            stack.push_async_callback(client.close)


async def test_an_operators_hive_is_used(met: Met) -> None:
    found = await met.find("key-of-the-node")
    assert found == (met.clients[0], "key-of-the-node")
    assert met.said == [f"using the hive that runs at {met.hive.url}"]
    assert met.hive.asked == ["/v1/node", "/v1/health"]
    met.assert_closed(but=1)


async def test_where_nobody_answers_nothing_is_said(met: Met) -> None:
    url = met.hive.url
    await met.hive.close()
    assert await met.find("a", "b", url=url) is None
    assert met.said == []
    assert len(met.clients) == 1
    met.assert_closed()


async def test_the_keys_are_tried_one_after_the_other(met: Met) -> None:
    found = await met.find("wrong key", "key-of-the-node", "never tried")
    assert found is not None
    assert found[1] == "key-of-the-node"
    assert met.hive.refused == ["/v1/node"]
    assert len(met.clients) == 2
    met.assert_closed(but=1)


async def test_what_knows_none_of_our_keys_is_left_alone(met: Met) -> None:
    assert await met.find("wrong", "wrong too") is None
    said = f"what answers at {met.hive.url} does not know our key: starting an own hive"
    assert met.said == [said]
    assert met.hive.asked == []
    met.assert_closed()


async def test_a_hive_that_is_draining_is_not_used(met: Met) -> None:
    met.hive.state = "draining"
    assert await met.find("key-of-the-node") is None
    assert met.hive.asked[:2] == ["/v1/node", "/v1/health"]  # waited for
    met.assert_closed()


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(QUEEN, pid=8),
        msgspec.structs.replace(QUEEN, started=1.6),
        msgspec.structs.replace(QUEEN, host="other"),
    ],
)
async def test_another_queens_hive_is_left_alone_and_its_owner_named(
    met: Met, other: Owner
) -> None:
    met.hive.owner = other
    assert await met.find("key-of-the-node") is None
    who = f"queen-rbee (pid {other.pid} on {other.host})"
    assert met.said == [f"the hive at {met.hive.url} belongs to {who}: starting an own one"]
    assert met.hive.asked == ["/v1/node"]
    met.assert_closed()


async def test_an_own_hive_that_was_cut_off_is_ended_first(met: Met) -> None:
    met.hive.owner = QUEEN
    async with asyncio.timeout(10):
        assert await met.find("key-of-the-node") is None
    assert met.said == [f"ending the hive at {met.hive.url}, which was cut off from its queen"]
    assert met.hive.asked[:2] == ["/v1/node", "/v1/admin/shutdown"]
    assert met.hive._server is None, "it was waited for"
    met.assert_closed()


async def test_a_hive_that_does_not_end_is_waited_for_no_longer_than_told(met: Met) -> None:
    began = time.monotonic()
    client = met.connect(met.hive.url, met.hive.key)
    await meeting.wait_for_end(client, 0.3)
    assert 0.29 < time.monotonic() - began < 3
    assert met.hive.asked[0] == "/v1/health"


@pytest.mark.parametrize("version", ["0.0.9", "99.0.1"])
async def test_another_version_is_told_with_what_mends_it(met: Met, version: str) -> None:
    met.hive.version = version
    with pytest.raises(VersionMismatch) as caught:
        await met.find("key-of-the-node")
    assert caught.value.message.endswith(f"rbee-hive is {version} on workstation.")
    assert caught.value.details["other_version"] == version
    # The older side is to be brought up to the newer one.
    here = "Update rbee on this machine: pip install 'rbee==99.0.1'"
    hint = "the update of workstation" if version == "0.0.9" else here
    assert caught.value.details["hint"] == hint
    met.assert_closed()


def test_on_this_machine_the_usual_advice_stands() -> None:
    with pytest.raises(VersionMismatch) as caught:
        meeting.check_hive(LocalHost(Config(), "key"), "99.0.1")
    assert "setup install" not in caught.value.message
    assert "pip install" in caught.value.advice


async def test_a_search_that_is_canceled_leaves_nothing_open(met: Met) -> None:
    asked = asyncio.Event()

    async def never() -> object:
        asked.set()
        return await asyncio.Event().wait()

    met.hive.replies["/v1/node"] = never
    searching = asyncio.create_task(met.find("key-of-the-node"))
    async with asyncio.timeout(5):
        await asked.wait()
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    met.assert_closed()
