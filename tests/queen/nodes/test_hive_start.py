"""A node's hive: used where one runs, else started over SSH."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from rbee import __version__
from rbee.contract.config import Config, RemoteSection
from rbee.contract.errors import (
    PortBlocked,
    SshConnectionFailed,
    VersionMismatch,
)
from rbee.contract.nodes import HiveGone, NodeInfo, Owner
from rbee.contract.registry import NodeRow
from rbee.queen.nodes import ssh_host as ssh_site
from rbee.queen.nodes.ssh_host import SshHost

from .conftest import NAME, Make, until


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


async def test_noise_before_the_nodes_key_does_no_harm(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_site, "_THEIR_KEY", f"echo Hi; printf Welcome; {ssh_site._THEIR_KEY}")
    lab = make()
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
    keys = lab.host.keys()
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


@pytest.mark.parametrize(
    ("remote", "install_path", "program"),
    [
        ({"binary_path": "/opt/rbee-hive", "git_repo_dir": "~/g"}, "~/i", "/opt/rbee-hive"),
        ({"git_repo_dir": "~/g"}, "~/i", "~/g/.venv/bin/rbee-hive"),
        ({}, "~/my rbee", "~/my rbee/.venv/bin/rbee-hive"),
        ({}, None, "rbee-hive"),
    ],
)
def test_where_its_program_is_follows_from_the_settings(
    remote: dict[str, str], install_path: str | None, program: str
) -> None:
    row = NodeRow(node_name=NAME, ssh_host="h", install_path=install_path)
    assert SshHost(row, Config(remote=RemoteSection(**remote))).program == program


@pytest.mark.parametrize(
    ("direct", "peer", "url"),
    [
        (True, "10.0.0.2", "http://10.0.0.2:9300"),
        (True, "fe80::1", "http://[fe80::1]:9300"),
        (False, "10.0.0.2", "http://127.0.0.1:9300"),
    ],
)
async def test_it_is_looked_for_where_the_machine_was_reached(
    direct: bool, peer: str, url: str
) -> None:
    row = NodeRow(node_name=NAME, ssh_host="h", hive_port=9300)
    place = SshHost(row, Config())
    place.ssh = SimpleNamespace(is_connected=True, is_direct=direct, peer=peer)  # type: ignore[assignment]
    assert await place.ready(lambda *_: None) == url
    place = SshHost(msgspec.structs.replace(row, hive_url="http://given:1/"), Config())
    place.ssh = SimpleNamespace(is_connected=True)  # type: ignore[assignment]
    assert await place.ready(lambda *_: None) == "http://given:1"
