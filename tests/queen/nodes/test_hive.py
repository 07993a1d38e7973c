"""A node's hive: used if one runs, else started over SSH; followed, given up when its connection is
dead, looked for, and ended."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.daemons import Ack
from rbee.contract.errors import (
    ConnectionTimeout,
    PortBlocked,
    ProgramFailed,
    ShuttingDown,
    SshConnectionFailed,
    VersionMismatch,
)
from rbee.contract.nodes import HiveGone, NodeInfo, Owner
from rbee.contract.workers import WorkerGone
from rbee.queen.nodes.worker_start import crashed
from rbee.runtime.concurrency import stop
from rbee.runtime.narration import Narrator
from tests.queen.conftest import NAME
from tests.queen.sshd import until

from .conftest import Make


async def test_where_none_runs_one_is_started(make: Make) -> None:
    lab = make(tunnel=False)
    lab.install()
    await lab.up()
    assert lab.hive.is_running
    assert lab.hive.is_ours
    assert lab.args == ["daemon --lifeline --port 1"]
    assert lab.said[-1] == f"starting rbee-hive on {NAME} over SSH"
    assert [type(met) for met in lab.met] == [NodeInfo]
    assert await lab.hive.workers() == []
    await lab.up()
    assert len(lab.args) == 1
    hello = await lab.hello()
    assert hello["api_key"] == lab.fake.key
    assert (hello["bind"], hello["announce"]) == ("127.0.0.1", "127.0.0.1")


async def test_one_that_answers_with_the_nodes_key_is_used_and_left_alone(make: Make) -> None:
    lab = make()
    lab = make(hive_port=lab.fake.port)
    lab.fake.key = "the-operators-own-key"
    lab.sshd.write(".rbee/api_key", "the-operators-own-key\n", 0o600)
    await lab.up()
    assert lab.hive.is_running
    assert not lab.hive.is_ours
    with lab.events.listen() as coming:
        await lab.hive.close()
        assert await asyncio.wait_for(anext(coming), 5) == HiveGone(NAME, "left", 0)
    assert "/v1/admin/shutdown" not in lab.fake.asked


async def test_noise_before_the_nodes_key_does_no_harm(make: Make) -> None:
    lab = make()
    lab.sshd.login_script = "echo Hi; printf Welcome"
    lab = make(hive_port=lab.fake.port)
    lab.fake.key = "the-operators-own-key"
    lab.sshd.write(".rbee/api_key", "the-operators-own-key\n", 0o600)
    await lab.up()
    assert not lab.hive.is_ours


async def test_a_key_file_of_the_row_is_the_only_key(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("the-key-of-the-file\n")
    lab = make(api_key_file=str(file))
    lab.fake.key = "the-key-of-the-file"
    keys = lab.host.api_keys()
    assert [key async for key in keys] == ["the-key-of-the-file"]
    lab.install()
    await lab.up()
    hello = await lab.hello()
    assert hello["api_key"] == "the-key-of-the-file"
    assert not any("cat" in command for command in lab.sshd.commands)


async def test_a_port_that_is_taken_is_told_and_another_one_is_used(make: Make) -> None:
    lab = make()
    lab.install(taken=True)
    await lab.up()
    assert lab.args == ["daemon --lifeline --port 1", "daemon --lifeline --port 0"]
    assert lab.said[-1] == f"port 1 of {NAME} is held by nginx: the hive takes a free one"


async def test_another_version_is_ended_again(make: Make) -> None:
    lab = make()
    lab.install(version="0.0.9")
    with pytest.raises(VersionMismatch, match=f"0.0.9 on {NAME}") as caught:
        await lab.up()
    assert f"setup install --node {NAME} --wheel" in caught.value.details["hint"]
    assert not lab.hive.is_running
    await until(lambda: lab.sshd.is_idle)
    assert isinstance(lab.met[-1], VersionMismatch)


async def test_one_whose_port_can_not_be_reached_is_ended_again(make: Make) -> None:
    lab = make()
    lab.install()
    await lab.fake.close()
    with pytest.raises(PortBlocked) as caught:
        await lab.up()
    assert caught.value.details == {"host": "127.0.0.1", "port": lab.fake.port}
    await until(lambda: lab.sshd.is_idle)


async def test_through_a_tunnel_that_is_not_allowed_the_server_is_to_blame(make: Make) -> None:
    lab = make(tunnel=True)
    lab.install()
    lab.sshd.forwards = False
    with pytest.raises(PortBlocked, match="SSH does not forward its port") as caught:
        await lab.up()
    port = lab.fake.port
    assert caught.value.details == {"host": "127.0.0.1", "port": port, "tunnel": True}
    assert "AllowTcpForwarding yes" in caught.value.advice


async def test_through_a_tunnel_it_stays_on_its_own_loopback(make: Make) -> None:
    lab = make(tunnel=True)
    lab.install()
    await lab.up()
    hello = await lab.hello()
    assert hello["bind"] == "127.0.0.1"
    assert "announce" not in hello
    assert lab.hive.http.url != lab.fake.url
    assert await lab.hive.check_version() == __version__
    other = await lab.hive.client_for("http://127.0.0.1:8001")
    assert other.url not in ("http://127.0.0.1:8001", lab.hive.http.url)
    assert (await lab.hive.client_for("http://10.0.0.9:8001")).url == "http://10.0.0.9:8001"


async def test_a_connection_that_breaks_while_it_starts_is_an_error_for_a_person(
    make: Make,
) -> None:
    lab = make()
    lab.sshd.write("rbee-hive", "#!/bin/sh\n: >begun\ncat >input\n")
    rising = asyncio.create_task(lab.up())
    await until(lambda: (lab.sshd.home / "begun").exists())
    lab.sshd.drop()
    with pytest.raises(SshConnectionFailed):
        await rising
    assert isinstance(lab.met[-1], SshConnectionFailed)
    await until(lambda: lab.sshd.is_idle)


async def test_the_hives_of_two_queens_do_not_share_a_port(make: Make) -> None:
    lab = make(hive_port=make().fake.port)
    lab.fake.owner = Owner("queen-rbee", 1, 1.0, "elsewhere")
    lab.install(taken=True)
    await lab.up()
    assert lab.hive.is_ours
    assert any("belongs to queen-rbee (pid 1 on elsewhere)" in said for said in lab.said)
    assert lab.args[-1] == "daemon --lifeline --port 0"


async def test_an_ended_hive_is_told_and_started_anew(make: Make) -> None:
    lab = make()
    lab.install()
    await lab.up()
    with lab.events.listen() as coming:
        lab.hive.cut_lifeline()
        assert await asyncio.wait_for(anext(coming), 5) == HiveGone(NAME, "ended", 0)
    assert not lab.hive.is_running
    assert await lab.hive.workers() == []
    assert lab.hive.broke == f"the hive on {NAME} ended with code 0"
    ended = crashed(lab.hive, "worker-1", "after 1 of 9 tokens", "its connection broke", None)
    assert ended.message.endswith(f"ended after 1 of 9 tokens: {lab.hive.broke}.")
    assert "are in ~/.rbee/logs on" in ended.advice
    await lab.up()
    assert len(lab.args) == 2
    assert lab.hive.broke is None


async def test_a_hive_that_ends_with_another_code_was_killed(make: Make) -> None:
    lab = make()
    lab.install()
    script = (lab.sshd.home / "rbee-hive").read_text()
    lab.sshd.write("rbee-hive", script.replace("exit 0", "exit 9"))
    await lab.up()
    with lab.events.listen() as coming:
        lab.hive.cut_lifeline()
        assert await asyncio.wait_for(anext(coming), 5) == HiveGone(NAME, "killed", 0)


async def test_the_end_of_a_hive_is_told_once(make: Make) -> None:
    lab = make()
    lab.install()
    await lab.up()
    with lab.events.listen() as coming:
        lab.hive.cut_lifeline()
        assert await asyncio.wait_for(anext(coming), 5) == HiveGone(NAME, "ended", 0)
        await lab.hive.close()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(coming), 0.2)


async def test_when_its_connection_dies_nothing_waits_for_it_any_more(make: Make) -> None:
    lab = make(keepalive_s=0.1)
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
    assert not lab.host.remote.is_connected
    with pytest.raises(ShuttingDown):
        await lab.up()


async def test_one_that_nothing_ends_is_given_up_in_the_end(make: Make) -> None:
    lab = make(end_within_s=0.1)
    lab.sshd.write("bin/ps", "#!/bin/sh\n")  # so that its pid can't be trusted
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


async def test_a_look_does_not_wait_for_somebody_who_starts_it(make: Make) -> None:
    lab = make(discover_within_s=0.1)
    lab.sshd.write("rbee-hive", "#!/bin/sh\n: >begun\ncat >input\n")
    starting = asyncio.create_task(lab.up())
    await until(lambda: (lab.sshd.home / "begun").exists())
    assert lab.hive.state == "starting"
    assert not await asyncio.wait_for(lab.hive.discover(), 2)
    await stop(starting)


async def test_a_look_that_has_time_waits_for_somebody_who_starts_it(make: Make) -> None:
    lab = make(discover_within_s=0.1)
    lab.install()
    program = lab.sshd.home / "rbee-hive"
    program.write_text(program.read_text().replace("printf", ": >begun\nsleep 1\nprintf", 1))
    starting = asyncio.create_task(lab.up())
    await until(lambda: (lab.sshd.home / "begun").exists())
    assert await lab.hive.discover(20)
    await starting


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


async def test_one_that_is_stopped_and_takes_its_time_is_waited_for_and_told(make: Make) -> None:
    lab = make()
    lab.install()
    await lab.up()
    ending: list[asyncio.Task[None]] = []

    async def ends() -> None:
        await lab.fake.close()
        await asyncio.sleep(0.3)
        lab.hive.cut_lifeline()

    async def bye() -> object:
        ending.append(asyncio.create_task(ends()))
        return Ack("bye")

    lab.fake.replies["/v1/admin/shutdown"] = bye
    with lab.events.listen() as coming:
        assert await lab.hive.stop(Narrator(lambda _: None, NAME))
        assert await asyncio.wait_for(anext(coming), 1) == HiveGone(NAME, "ended", 0)
        await asyncio.gather(*ending)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(coming), 0.3)


async def test_a_look_finds_an_operators_hive(make: Make) -> None:
    lab = make(hive_port=make().fake.port)
    assert await lab.hive.discover()
    assert lab.hive.is_running
    assert [type(met) for met in lab.met] == [NodeInfo]
    with lab.events.listen() as coming:
        await lab.hive.stop(Narrator(lambda _: None, NAME))
        assert await asyncio.wait_for(anext(coming), 1) == HiveGone(NAME, "ended", 0)
    assert "/v1/admin/shutdown" in lab.fake.asked
    assert not lab.hive.is_running


async def test_an_operators_hive_that_is_cut_off_is_not_said_to_have_ended(make: Make) -> None:
    lab = make(hive_port=make().fake.port, connect_s=0.3)
    assert await lab.hive.discover()

    async def cut() -> object:
        await lab.fake.close()
        return Ack("never heard")

    lab.fake.replies["/v1/admin/shutdown"] = cut
    with lab.events.listen() as coming:
        await lab.hive.stop(Narrator(lambda _: None, NAME))
        assert await asyncio.wait_for(anext(coming), 1) == HiveGone(NAME, "lost", 0)


async def test_an_operators_hive_that_does_not_end_is_told(make: Make) -> None:
    lab = make(hive_port=make().fake.port, end_within_s=0.3)
    assert await lab.hive.discover()

    async def promises() -> object:
        return Ack("soon")

    lab.fake.replies["/v1/admin/shutdown"] = promises
    with pytest.raises(ProgramFailed, match="was told to end and still answers at http"):
        await lab.hive.stop(Narrator(lambda _: None, NAME))
    assert lab.hive.is_running


async def test_a_look_at_a_hive_that_is_no_use_leaves_nothing_open(make: Make) -> None:
    lab = make(hive_port=make().fake.port, connect_s=0.3)

    async def fails() -> object:
        raise ConnectionTimeout(host="h", port=1, attempts=1)

    lab.fake.replies["/v1/events"] = fails
    assert not await asyncio.wait_for(lab.hive.discover(), 5)
    assert not lab.hive.is_running
    assert lab.hive.state == "unreachable"
    with pytest.raises(ConnectionTimeout):
        await lab.hive.http.call(ep.HIVE_HEALTH)
    assert not lab.host.remote.is_connected


async def test_a_look_at_a_machine_that_is_off_takes_no_longer_than_a_look(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        lab = make(ssh_port=mute.getsockname()[1], discover_within_s=0.2)
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


async def test_one_that_answers_no_call_is_given_up_only_if_it_is_mute(make: Make) -> None:
    lab = make()
    lab.install()
    await lab.up()
    await lab.hive.suspect()
    assert lab.hive.is_running

    async def fails() -> object:
        raise ShuttingDown("no")

    lab.fake.replies["/v1/health"] = fails
    await lab.hive.suspect()
    assert lab.hive.state == "unreachable"
    await until(lambda: lab.sshd.is_idle)
    del lab.fake.replies["/v1/health"]
    await lab.up()
    assert lab.hive.is_running
    assert len(lab.args) == 2


async def test_a_look_leaves_the_connection_to_who_uses_it(make: Make) -> None:
    lab = make()
    async with lab.hive.use_host() as host:
        await host.probe()
        assert not await lab.hive.discover()
        assert lab.host.remote.is_connected
        assert len(lab.sshd.connections) == 1
    assert not lab.host.remote.is_connected


async def test_a_hive_keeps_the_connection_that_was_opened_beside_it(make: Make) -> None:
    lab = make()
    lab.install()
    async with lab.hive.use_host() as host:
        await host.probe()
        await lab.up()
    assert lab.hive.is_running
    assert lab.host.remote.is_connected
    assert len(lab.sshd.connections) == 1


async def test_its_state_is_what_is_observed_of_it(make: Make) -> None:
    lab = make()
    states = [lab.hive.state]
    lab.install()
    await lab.up()
    states.append(lab.hive.state)
    lab.hive.cut_lifeline()
    await until(lambda: lab.hive.state == "absent")
    await lab.sshd.close()
    with pytest.raises((ConnectionTimeout, SshConnectionFailed)):
        await lab.up()
    states.append(lab.hive.state)
    await lab.hive.close()
    states.append(lab.hive.state)
    assert states == ["absent", "running", "unreachable", "draining"]
