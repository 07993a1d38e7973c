"""A node's hive: followed, given up when its link is dead, looked for, and ended."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from rbee.contract import endpoints as ep
from rbee.contract.config import Config
from rbee.contract.errors import (
    ConnectionTimeout,
    ShuttingDown,
)
from rbee.contract.nodes import HiveGone, NodeInfo
from rbee.contract.workers import WorkerGone
from rbee.queen.nodes.hive_link import Link
from rbee.queen.ssh import hive_process as remote_hive
from rbee.queen.ssh import login as dialing
from rbee.runtime.narration import Narrator

from .conftest import NAME, Make, until
from .lab import TIMES


async def test_an_ended_hive_is_told_and_started_anew(make: Make) -> None:
    lab = make()
    lab.install()
    await lab.up()
    with lab.events.listen() as coming:
        lab.hive.cut_lifeline()
        assert await asyncio.wait_for(anext(coming), 5) == HiveGone(NAME, "ended", 0)
    assert not lab.hive.is_running
    assert await lab.hive.workers() == []
    await lab.up()
    assert len(lab.args) == 2


async def test_when_its_link_dies_nothing_waits_for_it_any_more(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "_KEEPALIVE_S", 0.1)
    lab = make()
    lab.install()
    await lab.up()

    async def never() -> object:
        return await asyncio.Event().wait()

    lab.fake.replies["/v1/models"] = never
    worker = await lab.hive.client_for(lab.fake.url)
    asking = [
        asyncio.create_task(client.call(ep.HIVE_MODELS, within_s=60))
        for client in (lab.hive.http, worker)
    ]
    await until(lambda: lab.fake.asked.count("/v1/models") == 2)
    with lab.events.listen() as coming:
        lab.sshd.hang()
        assert await asyncio.wait_for(anext(coming), 5) == HiveGone(NAME, "lost", 0)
    for error in await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 2):
        assert isinstance(error, ConnectionTimeout)
    assert not lab.hive.is_running
    await until(lambda: lab.fake.listening == 0)


@pytest.mark.parametrize("path", ["/v1/node", "/v1/events"])
async def test_a_start_that_is_canceled_leaves_a_hive_that_is_found_or_ended(
    make: Make, path: str
) -> None:
    lab = make()
    lab.install()
    asked = asyncio.Event()

    async def never() -> object:
        asked.set()
        return await asyncio.Event().wait()

    lab.fake.replies[path] = never
    rising = asyncio.create_task(lab.up())
    await asyncio.wait_for(asked.wait(), 5)
    rising.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rising
    del lab.fake.replies[path]
    await asyncio.wait_for(lab.hive.close(), 10)
    assert not lab.hive.is_running
    await until(lambda: lab.sshd.is_idle)


async def test_in_the_end_it_is_ended_in_order(make: Make) -> None:
    lab = make()
    lab.install()
    await lab.up()

    async def bye() -> object:
        lab.hive.cut_lifeline()  # as the hive itself would end
        return {"message": "bye"}

    lab.fake.replies["/v1/admin/shutdown"] = bye
    with lab.events.listen() as coming:
        await asyncio.wait_for(lab.hive.close(), 10)
        assert await asyncio.wait_for(anext(coming), 5) == HiveGone(NAME, "ended", 0)
    assert not lab.host.ssh.is_connected
    with pytest.raises(ShuttingDown):
        await lab.up()


async def test_one_that_nothing_ends_is_given_up_in_the_end(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_hive, "_LAST_WORDS_S", 0.1)
    monkeypatch.setattr(remote_hive, "_STARTED", "true")
    monkeypatch.setattr(Link, "_patience_s", 0.1)
    lab = make()
    lab.install()
    script = (lab.sshd.home / "rbee-hive").read_text()
    stubborn = script.replace("cat >input", "trap '' TERM HUP PIPE; exec sleep 60")
    lab.sshd.write("rbee-hive", stubborn)
    await lab.up()
    with lab.events.listen() as coming:
        await asyncio.wait_for(lab.hive.close(), 10)
        assert await asyncio.wait_for(anext(coming), 5) == HiveGone(NAME, "lost", 0)


async def test_a_look_starts_nothing_and_says_nothing(make: Make) -> None:
    lab = make()
    lab.install()
    assert not await lab.hive.discover()
    assert lab.args == []
    assert lab.met == []


async def test_a_look_does_not_wait_for_somebody_who_starts_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rbee.queen.nodes.hive._LOOK_WITHIN_S", 0.1)
    lab = make()
    async with lab.hive._changing:
        assert not await asyncio.wait_for(lab.hive.discover(), 2)
    lab.install()
    await lab.up()
    async with lab.hive._changing:
        assert await asyncio.wait_for(lab.hive.discover(), 2)


async def test_a_stream_of_events_that_breaks_is_taken_up_again(make: Make) -> None:
    lab = make()
    lab.install()
    await lab.up()
    await until(lambda: lab.fake.listening == 1)
    lab.fake.drop()
    await until(lambda: lab.fake.asked.count("/v1/events") == 2)
    assert lab.hive.is_running


async def test_an_operators_hive_that_comes_back_with_another_key_is_found_anew(
    make: Make,
) -> None:
    lab = make(hive_port=make().fake.port)
    await lab.up()
    await until(lambda: lab.fake.listening == 1)
    lab.fake.key = "another-key"
    lab.sshd.write(".rbee/api_key", "another-key\n", 0o600)
    lab.fake.drop()
    await until(lambda: not lab.hive.is_running)
    await lab.up()
    assert lab.hive.is_running
    assert not lab.hive.is_ours


async def test_a_look_finds_an_operators_hive(make: Make) -> None:
    lab = make(hive_port=make().fake.port)
    assert await lab.hive.discover()
    assert lab.hive.is_running
    assert [type(met) for met in lab.met] == [NodeInfo]
    await lab.hive.stop(Narrator(lambda _: None, NAME))
    assert "/v1/admin/shutdown" in lab.fake.asked
    assert not lab.hive.is_running


async def test_a_look_at_a_hive_that_is_no_use_leaves_nothing_open(make: Make) -> None:
    lab = make(hive_port=make().fake.port)

    async def fails() -> object:
        raise ConnectionTimeout(host="h", port=1, attempts=1)

    lab.fake.replies["/v1/events"] = fails
    times = msgspec.structs.replace(TIMES, connect_s=0.3)
    lab.hive._link._config = Config(times=times)
    assert not await asyncio.wait_for(lab.hive.discover(), 5)
    assert not lab.hive.is_running
    assert lab.hive._link._client is None


async def test_a_look_at_a_machine_that_is_off_takes_no_longer_than_a_look(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rbee.queen.nodes.hive._LOOK_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        lab = make(ssh_port=mute.getsockname()[1])
        assert not await asyncio.wait_for(lab.hive.discover(), 2)


async def test_how_a_worker_ended_is_remembered(make: Make) -> None:
    lab = make()
    lab.install()
    await lab.up()
    await until(lambda: lab.fake.listening == 1)
    gone = WorkerGone("worker-1", "crashed", 1, [])
    asking = asyncio.create_task(lab.hive.worker_exit("worker-1"))
    await asyncio.sleep(0)
    lab.fake.tell(gone)
    assert await asyncio.wait_for(asking, 5) == gone
    assert await lab.hive.worker_exit("worker-1") == gone
