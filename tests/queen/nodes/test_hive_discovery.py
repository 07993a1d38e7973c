"""The hive that runs on a node already: used, left alone, or ended first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

import msgspec
import pytest

from rbee.contract.config import Config
from rbee.contract.errors import KeyNotProven, VersionMismatch
from rbee.contract.nodes import Owner
from rbee.queen.nodes.hive_discovery import find_hive, wait_for_end
from rbee.queen.nodes.hosts import LocalHost, check_hive_version
from rbee.queen.nodes.local_hive import LocalHive
from rbee.runtime.client import Client

from .conftest import Start
from .fake_hive import FakeHive

QUEEN = Owner("queen-rbee", 7, 1.5, "blep")


class FakeHost:
    node = "workstation"
    update_hint = "the update of workstation"

    def __init__(self, *known: str, can_start: bool = True) -> None:
        self.known = known
        self.can_start = can_start

    async def reachable_url(self, url: str) -> str:
        return url

    async def api_keys(self) -> AsyncIterator[str]:
        for key in self.known:
            yield key


class WatchedClient(Client):
    is_closed = False

    async def close(self) -> None:
        self.is_closed = True
        await super().close()


class Search:
    """Searches, and what they leave open."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.can_start = True
        self.clients: list[WatchedClient] = []
        self.hive: FakeHive

    def connect(self, url: str, key: str) -> Client:
        self.clients.append(WatchedClient(url, key, 2, 2))
        return self.clients[-1]

    async def find(self, *keys: str, url: str | None = None) -> tuple[Client, str] | None:
        return await find_hive(
            FakeHost(*keys, can_start=self.can_start),  # type: ignore[arg-type]
            url or self.hive.url,
            partial(self.connect, url or self.hive.url),
            QUEEN,
            3,
            lambda _, __, text: self.said.append(text),
        )

    def assert_closed(self, but: int = 0) -> None:
        assert [client.is_closed for client in self.clients].count(False) == but


@pytest.fixture
async def search(fake_hive: Start) -> AsyncIterator[Search]:
    async with AsyncExitStack() as stack:
        made = Search()
        made.hive = await fake_hive()
        yield made
        for client in made.clients:
            stack.push_async_callback(client.close)


async def test_an_operators_hive_is_used(search: Search) -> None:
    found = await search.find("key-of-the-node")
    assert found == (search.clients[0], "key-of-the-node")
    assert search.said == [f"using the hive that runs at {search.hive.url}"]
    assert search.hive.asked == ["/v1/node", "/v1/health"]
    search.assert_closed(but=1)


async def test_where_nobody_answers_nothing_is_said(search: Search) -> None:
    url = search.hive.url
    await search.hive.close()
    assert await search.find("a", "b", url=url) is None
    assert search.said == []
    assert len(search.clients) == 1
    search.assert_closed()


async def test_a_stranger_is_named_and_no_other_key_is_tried_on_it(search: Search) -> None:
    async with await asyncio.start_server(_well, "127.0.0.1", 0) as stranger:
        url = "http://{}:{}".format(*stranger.sockets[0].getsockname())
        assert await search.find("a", "b", url=url) is None
    (said,) = search.said
    assert said.startswith(f"What listens at {url.removeprefix('http://')} can't prove that")
    assert said.endswith(": starting another one")
    search.assert_closed()
    assert len(search.clients) == 1


async def test_a_stranger_where_no_hive_can_be_started_is_an_error(search: Search) -> None:
    search.can_start = False
    async with await asyncio.start_server(_well, "127.0.0.1", 0) as stranger:
        with pytest.raises(KeyNotProven):
            await search.find("a", url="http://{}:{}".format(*stranger.sockets[0].getsockname()))
    search.assert_closed()


async def _well(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    await writer.drain()


async def test_the_keys_are_tried_one_after_the_other(search: Search) -> None:
    found = await search.find("wrong key", "key-of-the-node", "never tried")
    assert found is not None
    assert found[1] == "key-of-the-node"
    assert search.hive.refused == []  # the wrong one was not sent
    assert len(search.clients) == 2
    search.assert_closed(but=1)


async def test_what_knows_none_of_our_keys_is_left_alone(search: Search) -> None:
    assert await search.find("wrong", "wrong too") is None
    said = f"what answers at {search.hive.url} does not know our key: starting another one"
    assert search.said == [said]
    assert search.hive.asked == []
    search.assert_closed()


async def test_without_a_key_nothing_is_asked_and_nothing_is_said(search: Search) -> None:
    assert await search.find() is None
    assert search.said == []
    assert search.hive.refused == []


async def test_a_hive_that_is_draining_is_not_used(search: Search) -> None:
    search.hive.state = "draining"
    assert await search.find("key-of-the-node") is None
    assert search.hive.asked[:2] == ["/v1/node", "/v1/health"]  # waited for
    search.assert_closed()


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(QUEEN, pid=8),
        msgspec.structs.replace(QUEEN, started=1.6),
        msgspec.structs.replace(QUEEN, host="other"),
    ],
)
async def test_another_queens_hive_is_left_alone_and_its_owner_named(
    search: Search, other: Owner
) -> None:
    search.hive.owner = other
    assert await search.find("key-of-the-node") is None
    who = f"queen-rbee (pid {other.pid} on {other.host})"
    assert search.said == [f"the hive at {search.hive.url} belongs to {who}: starting another one"]
    assert search.hive.asked == ["/v1/node"]
    search.assert_closed()


async def test_an_own_hive_that_was_cut_off_is_ended_first(search: Search) -> None:
    search.hive.owner = QUEEN
    async with asyncio.timeout(10):
        assert await search.find("key-of-the-node") is None
    assert search.said == [
        f"ending the hive at {search.hive.url}, which was cut off from its queen"
    ]
    assert search.hive.asked[:2] == ["/v1/node", "/v1/admin/shutdown"]
    assert not search.hive.is_open, "it was waited for"
    search.assert_closed()


async def test_a_hive_that_does_not_end_is_waited_for_no_longer_than_told(search: Search) -> None:
    began = time.monotonic()
    client = search.connect(search.hive.url, search.hive.key)
    await wait_for_end(client, 0.3)
    assert 0.29 < time.monotonic() - began < 3
    assert search.hive.asked[0] == "/v1/health"


@pytest.mark.parametrize("version", ["0.0.9", "99.0.1"])
async def test_another_version_is_told_with_what_mends_it(search: Search, version: str) -> None:
    search.hive.version = version
    with pytest.raises(VersionMismatch) as caught:
        await search.find("key-of-the-node")
    assert caught.value.message.endswith(f"rbee-hive is {version} on workstation.")
    assert caught.value.details["other_version"] == version
    # The older side is to be brought up to the newer one.
    here = "Update rbee on this machine: pip install 'rbee==99.0.1'"
    hint = "the update of workstation" if version == "0.0.9" else here
    assert caught.value.details["hint"] == hint
    search.assert_closed()


def test_on_this_machine_the_usual_advice_stands() -> None:
    with pytest.raises(VersionMismatch) as caught:
        check_hive_version(LocalHost(Config(), "key", LocalHive(Config())), "99.0.1")
    assert "setup install" not in caught.value.message
    assert "pip install" in caught.value.advice


async def test_a_search_that_is_canceled_leaves_nothing_open(search: Search) -> None:
    asked = asyncio.Event()

    async def never() -> object:
        asked.set()
        return await asyncio.Event().wait()

    search.hive.replies["/v1/node"] = never
    searching = asyncio.create_task(search.find("key-of-the-node"))
    async with asyncio.timeout(5):
        await asked.wait()
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    search.assert_closed()
