"""A machine that does not answer is tried three times, told try by try; one that refuses is not."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from rbee.contract.config import Config, TimesSection
from rbee.contract.errors import ConnectionRefused, ConnectionTimeout, SshConnectionFailed
from rbee.contract.registry import NodeRow
from rbee.queen.nodes.hosts import Host, NoHiveError
from rbee.queen.nodes.nodes import host_of
from tests.queen.conftest import NAME, trust
from tests.queen.sshd import Sshd, until


class Told:
    """What was said, and when."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.times: list[float] = []

    def say(self, actor: str, emoji: str, text: str) -> None:
        self.lines.append(f"[{actor}] {emoji} {text}")
        self.times.append(time.monotonic())


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def refusing() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mute() -> Iterator[int]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]


@pytest.fixture
def swallowing() -> Iterator[int]:
    """Does not even answer that it takes no more."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = []
        for _ in range(3):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            waiting.append(client)
        yield server.getsockname()[1]
        for client in waiting:
            client.close()


def ssh_host(port: int, limit_s: float = 5) -> Host:
    row = NodeRow(node_name=NAME, ssh_host="127.0.0.1", ssh_port=port)
    return host_of(row, Config(times=TimesSection(connect_s=limit_s)))


def url_host(port: int, limit_s: float = 5) -> Host:
    row = NodeRow(node_name=NAME, hive_url=f"http://127.0.0.1:{port}/")
    return host_of(row, Config(times=TimesSection(connect_s=limit_s)))


async def given_up(host: Host, told: Told) -> ConnectionTimeout:
    with pytest.raises(ConnectionTimeout) as caught:
        async with asyncio.timeout(10):
            await host.connect(told.say)
    await host.close()
    return caught.value


@pytest.mark.parametrize("make", [ssh_host, url_host])
async def test_one_look_says_that_it_was_refused(refusing: int, make: type[Host]) -> None:
    host = make(refusing)  # type: ignore[call-arg]
    with pytest.raises((ConnectionRefused, NoHiveError)) as caught:
        await host.connect_once()
    await host.close()
    if make is url_host:
        assert caught.type is ConnectionRefused


@pytest.mark.parametrize("make", [ssh_host, url_host])
async def test_a_refusal_is_tried_three_times_with_pauses(
    told: Told, refusing: int, make: type[Host]
) -> None:
    began = time.monotonic()
    error = await given_up(make(refusing), told)  # type: ignore[call-arg]
    ended = time.monotonic()
    first = f"[queen-rbee] 🔌 pool preflight: connecting to 127.0.0.1:{refusing}, attempt"
    assert told.lines == [
        f"{first} 1 of 3 (limit 5 s)",
        f"{first} 2 of 3 in 200 ms (limit 5 s)",
        f"{first} 3 of 3 in 400 ms (limit 5 s)",
    ]
    one, two, three = told.times
    assert one - began < 1.5
    assert 0.19 < three - two < 1.5
    assert 0.39 < ended - three < 1.5
    assert two - one < 1.5
    assert error.code == "CONNECTION_REFUSED"
    assert f"{NAME} is switched on, but nothing listens" in error.advice
    assert error.details == {"host": "127.0.0.1", "port": refusing, "attempts": 3, "node": NAME}
    assert f"{NAME} does not answer at 127.0.0.1:{refusing} after 3 attempts: " in error.message
    assert "refused" in error.message
    assert f"Check that {NAME} is switched on" not in error.advice


@pytest.mark.parametrize("kind", ["mute", "swallowing"])
async def test_silence_is_waited_for_no_longer_than_the_limit(
    told: Told, kind: str, request: pytest.FixtureRequest
) -> None:
    began = time.monotonic()
    error = await given_up(ssh_host(request.getfixturevalue(kind), 0.15), told)
    assert 0.6 + 3 * 0.15 <= time.monotonic() - began < 6
    assert len(told.lines) == 3
    assert "after 3 attempts: timeout, no answer within 0.15 s." in error.message


async def test_a_given_hive_that_swallows_is_tried_three_times(told: Told, swallowing: int) -> None:
    error = await given_up(url_host(swallowing, 0.15), told)
    assert "no answer within 0.15 s" in error.message


async def test_one_that_comes_up_meanwhile_is_reached(
    told: Told, refusing: int, sshd: Sshd, home: object
) -> None:
    host = url_host(refusing)
    trying = asyncio.create_task(host.connect(told.say))
    await until(lambda: len(told.lines) == 2)
    async with asyncio.timeout(10):
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", refusing):
            assert await trying == f"http://127.0.0.1:{refusing}"


async def test_a_refused_key_is_told_at_once(told: Told, sshd: Sshd, home: object) -> None:
    sshd.authorized.clear()
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)  # type: ignore[arg-type]
    with pytest.raises(SshConnectionFailed, match="the key was rejected"):
        await ssh_host(sshd.port).connect(told.say)
    assert len(told.lines) == 1


async def test_an_unknown_host_key_is_told_at_once(told: Told, sshd: Sshd) -> None:
    with pytest.raises(SshConnectionFailed, match="is not known"):
        await ssh_host(sshd.port).connect(told.say)
    assert len(told.lines) == 1


async def test_once_connected_nothing_is_tried_again(told: Told, sshd: Sshd, home: object) -> None:
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)  # type: ignore[arg-type]
    host = ssh_host(sshd.port)
    for _ in range(2):
        assert await host.connect(told.say) == "http://127.0.0.1:9200"
    assert len(told.lines) == 1
    await host.close()


async def test_a_name_that_nobody_knows_is_told(told: Told) -> None:
    row = NodeRow(node_name=NAME, ssh_host="nowhere.invalid")
    error = await given_up(host_of(row, Config()), told)
    assert "nowhere.invalid:22 after 3 attempts: its name is not known here" in error.message


async def test_a_host_that_is_no_name_is_told(told: Told) -> None:
    row = NodeRow(node_name=NAME, ssh_host="a..b")
    with pytest.raises((SshConnectionFailed, ConnectionTimeout)):
        await host_of(row, Config()).connect(told.say)
    row = NodeRow(node_name=NAME, hive_url="http://a..b:9")
    with pytest.raises(ConnectionTimeout, match="its name is not known here"):
        await host_of(row, Config()).connect(told.say)
