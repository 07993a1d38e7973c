"""Whose machine it is: a host key is known, accepted by a person, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from rbee.contract.errors import SshConnectionFailed, StateNotWritable
from rbee.contract.registry import NodeRow
from rbee.queen.ssh.connection import SshConnection
from rbee.queen.ssh.host_keys import HostKeys
from tests.queen.conftest import NAME, trust
from tests.queen.sshd import Sshd

OTHER = "SHA256:" + "A" * 43


@pytest.fixture
def ssh(sshd: Sshd) -> SshConnection:
    return SshConnection(NodeRow(node_name=NAME, ssh_host="127.0.0.1", ssh_port=sshd.port), 5)


async def refused(ssh: SshConnection, accept: str | None = None) -> SshConnectionFailed:
    with pytest.raises(SshConnectionFailed) as caught:
        await ssh.connect(accept)
    assert not ssh.is_connected
    return caught.value


async def works(ssh: SshConnection, accept: str | None = None) -> None:
    await ssh.connect(accept)
    assert (await ssh.run("echo here")).out == "here\n"
    await ssh.close()


def kept(home: Path) -> Path:
    return home / ".rbee" / "known_hosts"


async def test_an_unknown_key_is_refused_with_its_fingerprint(
    ssh: SshConnection, sshd: Sshd, home: Path
) -> None:
    error = await refused(ssh)
    assert error.details == {
        "host": "127.0.0.1",
        "port": sshd.port,
        "reason": f"the host key {sshd.fingerprint} is not known",
        "fingerprint": sshd.fingerprint,
        "key_type": "ssh-ed25519",
        "command": f"ssh -p {sshd.port} 127.0.0.1",
    }
    assert error.advice.endswith(f"--accept-host-key {sshd.fingerprint}")
    assert not kept(home).exists()
    assert sshd.logins == []


@pytest.mark.parametrize("padding", ["", "="])
async def test_a_key_that_a_person_accepts_is_kept(
    ssh: SshConnection, sshd: Sshd, home: Path, padding: str
) -> None:
    await works(ssh, sshd.fingerprint + padding)
    words = sshd.host_key.export_public_key().decode().split()[:2]
    assert kept(home).read_text() == f"[127.0.0.1]:{sshd.port} {' '.join(words)}\n"
    assert kept(home).stat().st_mode & 0o777 == 0o600
    await works(ssh)
    await works(ssh, OTHER)
    assert kept(home).read_text().count("\n") == 1
    assert not (home / ".ssh" / "known_hosts").exists()


async def test_another_fingerprint_than_the_accepted_one_is_refused(
    ssh: SshConnection, sshd: Sshd, home: Path
) -> None:
    error = await refused(ssh, OTHER)
    assert error.details["fingerprint"] == sshd.fingerprint
    assert not kept(home).exists()


@pytest.mark.parametrize("file", [".ssh/known_hosts", ".rbee/known_hosts"])
async def test_a_key_that_changed_is_refused_even_if_it_is_accepted(
    ssh: SshConnection, sshd: Sshd, home: Path, file: str
) -> None:
    (home / ".rbee").mkdir()
    old = asyncssh.generate_private_key("ssh-ed25519")
    trust(home, f"[127.0.0.1]:{sshd.port}", old, file)
    before = (home / file).read_text()
    for accept in (None, sshd.fingerprint):
        error = await refused(ssh, accept)
        assert error.details["changed"] is True
        assert "fingerprint" not in error.details
        assert "the host key has changed" in error.message
        assert sshd.fingerprint in error.message
        assert "ssh-keygen -R" in error.advice
    assert (home / file).read_text() == before


async def test_a_key_that_ssh_knows_is_known(ssh: SshConnection, sshd: Sshd, home: Path) -> None:
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)
    await works(ssh)
    assert not kept(home).exists()


async def test_the_file_that_the_ssh_config_names_counts(
    ssh: SshConnection, sshd: Sshd, home: Path
) -> None:
    (home / ".ssh" / "config").write_text("UserKnownHostsFile ~/.ssh/lab_hosts\n")
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key)
    await refused(ssh)
    trust(home, f"[127.0.0.1]:{sshd.port}", sshd.host_key, ".ssh/lab_hosts")
    await works(ssh)


async def test_beside_a_file_of_the_config_an_accepted_key_is_known(
    ssh: SshConnection, sshd: Sshd, home: Path
) -> None:
    (home / ".ssh" / "config").write_text("UserKnownHostsFile /nowhere/known_hosts\n")
    await works(ssh, sshd.fingerprint)
    await works(ssh)


async def test_a_file_that_can_not_be_read_is_told(ssh: SshConnection, home: Path) -> None:
    (home / ".ssh" / "known_hosts").write_text("this is no key file\n")
    assert (await refused(ssh)).details["reason"]


async def test_where_it_can_not_be_kept_it_is_not_trusted(
    ssh: SshConnection, sshd: Sshd, home: Path
) -> None:
    kept(home).mkdir(parents=True)
    with pytest.raises(StateNotWritable) as caught:
        await ssh.connect(sshd.fingerprint)
    assert caught.value.details["path"] == str(kept(home))
    assert not ssh.is_connected


def test_the_usual_port_is_not_written_down(home: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    keys = HostKeys([], key.get_fingerprint())
    assert keys.judge("node.home.arpa", "10.0.0.9", 22, key)
    assert kept(home).read_text().startswith("node.home.arpa ssh-ed25519 ")
    (trusted, *_) = HostKeys([], None).known.match("node.home.arpa", "10.0.0.9", None)
    assert [key.get_fingerprint() for key in trusted] == [key.get_fingerprint()]


def test_later_keys_are_written_below_the_earlier_ones(home: Path) -> None:
    make: Callable[[], asyncssh.SSHKey] = lambda: asyncssh.generate_private_key("ssh-ed25519")  # noqa: E731
    for host in ("one", "two"):
        key = make()
        assert HostKeys([], key.get_fingerprint()).judge(host, "", 22, key)
    kept(home).write_text(kept(home).read_text().rstrip("\n"))  # by somebody's editor
    key = make()
    assert HostKeys([], key.get_fingerprint()).judge("three", "", 22, key)
    lines = kept(home).read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["one", "two", "three"]
