"""What a node is made of, for tests: a machine behind SSH, and a hive that can be bent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from rbee.contract.registry import NodeRow
from rbee.queen.nodes.hive_link import Link
from rbee.queen.ssh.connection import SshConnection

from .fake_hive import FakeHive
from .lab import NAME, Lab
from .sshd import Sshd
from .sshd import until as until

Add = Callable[..., SshConnection]
Start = Callable[..., Awaitable[FakeHive]]
Make = Callable[..., Lab]
PROGRAM = "rbee-hive"


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
    """The way to the machine, whose host key is known; more fields of its row may be given."""
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)
    async with AsyncExitStack() as stack:

        def make(connect_s: float = 5, **fields: object) -> SshConnection:
            told = {"ssh_host": "127.0.0.1", "ssh_port": sshd.port, **fields}
            ssh = SshConnection(NodeRow(node_name=NAME, **told), connect_s)  # type: ignore[arg-type]
            stack.push_async_callback(ssh.close)
            return ssh

        yield make


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
async def make(
    sshd: Sshd, home: Path, fake_hive: Start, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    monkeypatch.setattr(Link, "_patience_s", 0.2)
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
