"""The key that is meant is offered before a server hangs up, as the person's own ssh does it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from rbee.contract.errors import SshConnectionFailed
from tests.queen.conftest import Add
from tests.queen.sshd import Sshd

Agent = asyncssh.SSHAgentClient


def config(home: Path, text: str) -> None:
    (home / ".ssh" / "config").write_text(text)


def made(kind: str = "ssh-ed25519") -> asyncssh.SSHKey:
    return asyncssh.generate_private_key(kind)


@pytest.fixture
async def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Agent]:
    """A real one, with eight keys that nobody knows."""
    socket = home / "agent.sock"
    process = await asyncio.create_subprocess_exec(
        "ssh-agent", "-D", "-a", str(socket), stdout=asyncio.subprocess.DEVNULL
    )
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    try:
        async with asyncio.timeout(5):
            while not await _listens(socket):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        client = asyncssh.SSHAgentClient(str(socket))
        await client.add_keys([made() for _ in range(8)])
        yield client
        client.close()
    finally:
        process.kill()
        await process.wait()


async def _listens(socket: Path) -> bool:
    """The file is there a moment before."""
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    writer.close()
    return True


async def reaches(add: Add, sshd: Sshd, key_file: Path | None = None) -> list[bytes]:
    """What was offered until the machine let the person in."""
    ssh = add(ssh_key_path=None if key_file is None else str(key_file))
    assert (await ssh.run("echo here")).out == "here\n"
    return sshd.offered


async def test_a_named_key_is_offered_first(
    home: Path, key: asyncssh.SSHKey, add: Add, agent: Agent, sshd: Sshd
) -> None:
    assert await reaches(add, sshd, home / ".ssh" / "id_ed25519") == [key.public_data]


@pytest.mark.parametrize("form", ["public", "encrypted", "encrypted pkcs8 with its public part"])
async def test_a_named_key_that_only_the_agent_can_use_is_offered_first(
    home: Path, key: asyncssh.SSHKey, add: Add, agent: Agent, sshd: Sshd, form: str
) -> None:
    await agent.add_keys([key])
    file = home / ".ssh" / "lab"
    (home / ".ssh" / "id_ed25519").unlink()
    if form == "public":
        key.write_public_key(file)
    elif form == "encrypted":
        key.write_private_key(file)
        file.chmod(0o600)
        change = ["ssh-keygen", "-q", "-p", "-f", str(file), "-N", "secret"]
        await asyncio.to_thread(subprocess.run, change, check=True, timeout=10)
    else:
        key.write_private_key(file, "pkcs8-pem", passphrase="secret")
        key.write_public_key(f"{file}.pub")
    assert await reaches(add, sshd, file) == [key.public_data]


async def test_the_agents_other_keys_follow_a_named_one_that_is_refused(
    home: Path, add: Add, agent: Agent, sshd: Sshd
) -> None:
    named, other = made(), made()
    named.write_private_key(home / ".ssh" / "lab")
    await agent.remove_all()
    await agent.add_keys([other])
    sshd.authorized.append(other)
    assert await reaches(add, sshd, home / ".ssh" / "lab") == [named.public_data, other.public_data]


async def test_the_agents_key_that_the_config_names_is_offered_first(
    home: Path, key: asyncssh.SSHKey, add: Add, agent: Agent, sshd: Sshd
) -> None:
    await agent.add_keys([key])
    (home / ".ssh" / "id_ed25519").rename(home / ".ssh" / "lab")
    config(home, "IdentityFile ~/.ssh/lab\n")
    assert await reaches(add, sshd) == [key.public_data]


async def test_with_identities_only_the_agents_others_are_not_offered(
    home: Path, key: asyncssh.SSHKey, add: Add, agent: Agent, sshd: Sshd
) -> None:
    (home / ".ssh" / "id_ed25519").rename(home / ".ssh" / "lab")
    config(home, "IdentityFile ~/.ssh/lab\nIdentitiesOnly yes\n")
    assert await reaches(add, sshd) == [key.public_data]


async def test_a_default_key_that_is_not_in_the_agent_comes_after_the_agents(
    key: asyncssh.SSHKey, add: Add, agent: Agent, sshd: Sshd
) -> None:
    sshd.tries = 9
    offered = await reaches(add, sshd)
    assert (len(offered), offered[-1]) == (9, key.public_data)


@pytest.mark.parametrize("agent_line", ["none", "~/gone.sock"])
async def test_identity_agent_takes_the_place_of_the_sessions(
    home: Path, key: asyncssh.SSHKey, add: Add, agent: Agent, sshd: Sshd, agent_line: str
) -> None:
    config(home, f"IdentityAgent {agent_line}\n")
    assert await reaches(add, sshd) == [key.public_data]


@pytest.mark.parametrize("beside", ["missing", "not a key", "not readable", "a folder"])
async def test_a_file_of_the_config_that_can_not_be_used_is_passed_over(
    home: Path, key: asyncssh.SSHKey, add: Add, sshd: Sshd, beside: str
) -> None:
    other = home / ".ssh" / "other"
    if beside == "a folder":
        other.mkdir()
    elif beside != "missing":
        other.write_text("nothing of the kind")
        other.chmod(0o000 if beside == "not readable" else 0o600)
    config(home, f"IdentityFile {other}\nIdentityFile ~/.ssh/id_ed25519\n")
    assert await reaches(add, sshd) == [key.public_data]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no key file {file}"),
        ("nothing of the kind", "{file} is not a private key that SSH can use"),
    ],
)
async def test_a_named_file_that_can_not_be_used_is_told_before_anything_is_asked(
    home: Path, add: Add, sshd: Sshd, content: str | None, reason: str
) -> None:
    file = home / ".ssh" / "lab"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SshConnectionFailed) as caught:
        await add(ssh_key_path=str(file)).connect()
    assert caught.value.details["reason"] == reason.format(file=file)
    assert "--ssh-key" in caught.value.advice
    assert sshd.connections == []
