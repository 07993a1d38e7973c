"""What the person's own ssh knows counts: ~/.ssh/config, keys, the agent, jump hosts."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from rbee.contract.errors import SshConnectionFailed
from rbee.contract.registry import NodeRow
from rbee.queen.ssh.connection import SshConnection
from rbee.queen.ssh.login import NoAnswerError, jumps, options_of
from tests.queen.conftest import NAME, Add, trust
from tests.queen.sshd import Sshd, until


def config(home: Path, text: str) -> None:
    (home / ".ssh" / "config").write_text(text)


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real one, empty."""
    socket = home / "agent.sock"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    process.kill()
    process.wait(5)


async def listed(agent_of: Path) -> asyncssh.SSHAgentClient:
    async with asyncio.timeout(5):
        while True:
            try:
                return await asyncssh.connect_agent(str(agent_of))
            except OSError:
                await asyncio.sleep(0.02)


async def test_a_host_of_the_config_is_dialled_as_it_says(
    sshd: Sshd, home: Path, key: asyncssh.SSHKey
) -> None:
    (home / ".ssh" / "id_ed25519").rename(home / ".ssh" / "lab")
    config(
        home,
        f"Host {NAME}\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User marie\n"
        "  IdentityFile ~/.ssh/lab\n",
    )
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)
    ssh = SshConnection(NodeRow(node_name=NAME, ssh_host=NAME), 5)
    assert (await ssh.run("echo here")).out == "here\n"
    assert set(sshd.logins) == {"marie"}
    assert (ssh.peer, ssh.is_direct) == ("127.0.0.1", True)
    await ssh.close()


async def test_what_the_row_says_goes_before_the_config(sshd: Sshd, home: Path, add: Add) -> None:
    config(home, "Host 127.0.0.1\n  Port 1\n  User marie\n  IdentityFile ~/.ssh/none\n")
    ssh = add(ssh_user="pierre", ssh_key_path=str(home / ".ssh" / "id_ed25519"))
    assert (await ssh.run("echo here")).out == "here\n"
    assert set(sshd.logins) == {"pierre"}


async def test_a_config_that_can_not_be_read_is_told(home: Path, add: Add) -> None:
    config(home, "Port many\n")
    with pytest.raises(SshConnectionFailed):
        await add(ssh_port=None).connect()


async def test_a_rejected_key_is_told_at_once(sshd: Sshd, add: Add) -> None:
    sshd.authorized.clear()
    with pytest.raises(SshConnectionFailed, match=r"the key was rejected \(") as caught:
        await add().connect()
    assert caught.value.details["port"] == sshd.port
    assert len(sshd.connections) == 1


@pytest.mark.parametrize("name", ["none", "id_ed25519.pub"])
async def test_a_key_file_that_is_none_is_told(home: Path, add: Add, name: str) -> None:
    (home / ".ssh" / "id_ed25519.pub").write_text("no key at all")
    with pytest.raises(SshConnectionFailed):
        await add(ssh_key_path=str(home / ".ssh" / name)).connect()


async def test_a_key_with_a_passphrase_is_the_agents_to_use(
    home: Path, key: asyncssh.SSHKey, add: Add, agent: None
) -> None:
    file = home / ".ssh" / "id_ed25519"
    change = ["ssh-keygen", "-q", "-p", "-f", str(file), "-N", "secret"]
    await asyncio.to_thread(subprocess.run, change, check=True, timeout=10)
    known = await listed(Path(os.environ["SSH_AUTH_SOCK"]))
    with pytest.raises(SshConnectionFailed, match="the key was rejected"):
        await add(ssh_key_path=str(file)).connect()
    await known.add_keys([key])
    known.close()
    for told in (str(file), None):
        ssh = add(ssh_key_path=told)
        assert (await ssh.run("echo here")).out == "here\n"


@pytest.mark.parametrize(
    ("row", "command"),
    [
        ({}, f"ssh {NAME}"),
        ({"ssh_port": 2022}, f"ssh {NAME}"),
        ({"ssh_port": 2023}, f"ssh -p 2023 {NAME}"),
        ({"ssh_user": "me", "ssh_key_path": "/k k"}, f"ssh -i '/k k' me@{NAME}"),
    ],
)
async def test_the_advice_is_the_ssh_command_that_logs_in_as_the_queen_does(
    home: Path, row: dict[str, Any], command: str
) -> None:
    config(home, f"Host {NAME}\n  HostName 127.0.0.1\n  Port 2022\n")
    ssh = SshConnection(NodeRow(node_name=NAME, ssh_host=NAME, **row), 5)
    with pytest.raises((SshConnectionFailed, NoAnswerError)) as caught:
        await ssh.connect()
    error = caught.value
    assert error.details["command"] == command
    if isinstance(error, NoAnswerError):
        assert f"`{command}`" in error.as_rbee_error().advice


@pytest.fixture
async def behind(sshd: Sshd, sshds: Callable[[], Sshd], home: Path) -> tuple[Sshd, Sshd]:
    """A machine that is reached through another one only, which the config says."""
    inner = sshds()
    await inner.begin()
    jump = f"ProxyJump walter@127.0.0.1:{sshd.port}"
    config(home, f"Host {NAME}\n  HostName 127.0.0.1\n  Port {inner.port}\n  {jump}\n")
    return sshd, inner


async def test_a_jump_host_leads_to_the_machine(behind: tuple[Sshd, Sshd], home: Path) -> None:
    outer, inner = behind
    for sshd in behind:
        trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)
    ssh = SshConnection(NodeRow(node_name=NAME, ssh_host=NAME), 5)
    assert (await ssh.run("echo here")).out == "here\n"
    assert set(outer.logins) == {"walter"}
    assert outer.forwarded == [("127.0.0.1", inner.port)]
    assert len(outer.connections) == 1
    assert len(inner.connections) == 1
    assert outer.commands == []
    assert not ssh.is_direct
    await ssh.close()
    async with asyncio.timeout(5):
        for sshd in behind:
            await sshd.connections[0].wait_closed()


async def test_the_host_keys_of_the_way_are_accepted_one_after_the_other(
    behind: tuple[Sshd, Sshd], home: Path
) -> None:
    ssh = SshConnection(NodeRow(node_name=NAME, ssh_host=NAME), 5)
    for sshd, accept in zip(behind, (None, behind[0].fingerprint), strict=True):
        with pytest.raises(SshConnectionFailed) as caught:
            await ssh.connect(accept)
        assert caught.value.details["fingerprint"] == sshd.fingerprint
    await ssh.connect(behind[1].fingerprint)
    await ssh.close()
    assert (await ssh.run("echo here")).out == "here\n"
    await ssh.close()
    assert not (home / ".ssh" / "known_hosts").exists()


async def test_a_jump_host_for_all_is_no_way_to_itself(
    sshd: Sshd, sshds: Callable[[], Sshd], home: Path
) -> None:
    inner = sshds()
    await inner.begin()
    config(home, f"Host *\n  ProxyJump 127.0.0.1:{sshd.port}\n")
    for each in (sshd, inner):
        trust(home, f"[127.0.0.1]:{each.port}", each.host_key)
    row = NodeRow(node_name=NAME, ssh_host="127.0.0.1", ssh_port=inner.port)
    ssh = SshConnection(row, 5)
    assert (await ssh.run("echo here")).out == "here\n"
    assert sshd.forwarded == [("127.0.0.1", inner.port)]
    await ssh.close()


@pytest.mark.parametrize("stranger", [0, 1])
async def test_the_host_key_of_each_hop_is_checked(
    behind: tuple[Sshd, Sshd], home: Path, stranger: int
) -> None:
    known = behind[1 - stranger]
    trust(home, f"[127.0.0.1]:{known.port}", known.host_key)
    ssh = SshConnection(NodeRow(node_name=NAME, ssh_host=NAME), 5)
    with pytest.raises(SshConnectionFailed) as caught:
        await ssh.connect()
    assert caught.value.details["fingerprint"] == behind[stranger].fingerprint
    assert caught.value.details["port"] == behind[stranger].port
    async with asyncio.timeout(5):  # nothing of the way stays open
        await behind[0].connections[0].wait_closed()


async def test_a_way_that_takes_too_long_leaves_nothing_open(
    behind: tuple[Sshd, Sshd], home: Path
) -> None:
    outer, inner = behind
    for sshd in behind:
        trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)

    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    port = inner.port
    await inner.close()
    server = await asyncio.start_server(mute, "127.0.0.1", port)
    async with server:
        for canceled in (False, True):
            ssh = SshConnection(NodeRow(node_name=NAME, ssh_host=NAME), 20 if canceled else 1)
            task = asyncio.create_task(ssh.connect())
            if canceled:
                await until(lambda: len(outer.connections) == 2)
                await asyncio.sleep(0.1)
                task.cancel()
            with pytest.raises(asyncio.CancelledError if canceled else NoAnswerError):
                await task
            async with asyncio.timeout(5):
                await outer.connections[-1].wait_closed()


async def test_through_a_proxy_command_other_ports_are_not_reached(
    sshd: Sshd, home: Path, add: Add
) -> None:
    relay = "import socket,sys,threading,os\ns=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\ndef up():\n while d:=os.read(0,65536): s.sendall(d)\nthreading.Thread(target=up,daemon=True).start()\nwhile d:=s.recv(65536): os.write(1,d)\n"  # noqa: E501
    (home / "relay.py").write_text(relay)
    config(home, f"Host *\n  ProxyCommand /usr/bin/env python3 {home}/relay.py {sshd.port}\n")
    ssh = add()
    assert (await ssh.run("echo here", within_s=10)).out == "here\n"
    assert not ssh.is_direct
    assert ssh.peer == "127.0.0.1"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("gate", [("gate", None, None)]),
        ("me@gate:2222", [("gate", "me", 2222)]),
        ("a@b@gate,second:22", [("gate", "a@b", None), ("second", None, 22)]),
        ("none", []),
    ],
)
def test_jump_hosts_are_read_as_ssh_reads_them(
    home: Path, told: str, expected: list[tuple[str, str | None, int | None]]
) -> None:
    config(home, f"ProxyJump {told}\n")
    found = jumps(options_of(host="node"))
    assert [(hop["host"], hop["username"], hop["port"]) for hop in found] == expected
