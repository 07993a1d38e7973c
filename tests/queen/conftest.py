"""A machine behind SSH: the person's home, their key, and a real server that lets them in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from rbee.contract.registry import NodeRow
from rbee.queen.ssh.connection import SshConnection
from tests.queen.sshd import Sshd

NAME = "workstation"
Add = Callable[..., SshConnection]


def trust(home: Path, pattern: str, key: asyncssh.SSHKey, file: str = ".ssh/known_hosts") -> None:
    """As `ssh` notes it when a person says yes."""
    with (home / file).open("a") as out:
        out.write(f"{pattern} {key.export_public_key().decode().strip()}\n")


@pytest.fixture
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's home, with an empty ~/.ssh, and no agent."""
    (home / ".ssh").mkdir(mode=0o700)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture
def key(home: Path) -> Iterator[asyncssh.SSHKey]:
    """The person's own, as ~/.ssh/id_ed25519."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    file = home / ".ssh" / "id_ed25519"
    key.write_private_key(file)
    file.chmod(0o600)
    yield key


@pytest.fixture
async def sshds(key: asyncssh.SSHKey, tmp_path: Path) -> AsyncIterator[Callable[[], Sshd]]:
    """Further machines, not begun."""
    async with AsyncExitStack() as stack:
        made: list[Sshd] = []

        def make() -> Sshd:
            folder = tmp_path / f"node-{len(made)}"
            folder.mkdir()
            made.append(Sshd(folder, [key]))
            stack.push_async_callback(made[-1].close)
            return made[-1]

        yield make


@pytest.fixture
async def sshd(sshds: Callable[[], Sshd]) -> Sshd:
    """A machine that lets the person in."""
    made = sshds()
    await made.begin()
    return made


@pytest.fixture
async def add(sshd: Sshd, home: Path) -> AsyncIterator[Add]:
    """Connections to the machine, whose host key is known; its row may have other settings."""
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)
    async with AsyncExitStack() as stack:

        def make(connect_s: float = 5, keepalive_s: float = 2, **settings: Any) -> SshConnection:
            known = {"ssh_host": "127.0.0.1", "ssh_port": sshd.port, **settings}
            ssh = SshConnection(NodeRow(node_name=NAME, **known), connect_s, keepalive_s)
            stack.push_async_callback(ssh.close)
            return ssh

        yield make
