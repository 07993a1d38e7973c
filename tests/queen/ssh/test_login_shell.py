"""What a login shell's start-up files do before a command is waited for, or told as what it is."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from rbee.contract.errors import SshConnectionFailed
from rbee.contract.registry import NodeRow
from rbee.queen.ssh.connection import SshConnection
from tests.queen.conftest import NAME, Add
from tests.queen.sshd import Sshd


async def test_the_time_of_the_start_up_files_is_not_the_commands(add: Add, sshd: Sshd) -> None:
    sshd.login_script = "echo hello; sleep 2.5"
    result = await add().run("echo here", within_s=2)
    assert result.out == "here\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "ended with code 3 before it ran a command"),
        ("exec cat", "ended with code 0 before it ran a command"),
        (
            "echo no entry; exit 1",
            "ended with code 1 before it ran a command; it printed: no entry",
        ),
    ],
)
async def test_a_shell_that_never_runs_the_command_is_told(
    add: Add, sshd: Sshd, script: str, reason: str
) -> None:
    sshd.login_script = script
    with pytest.raises(SshConnectionFailed) as caught:
        await add().run("echo here")
    assert caught.value.details["reason"] == f"the login shell of {NAME} {reason}"
    assert f"`ssh -p {sshd.port} 127.0.0.1 true` must end at once" in caught.value.advice


@pytest.mark.parametrize("script", ["read x", "exec cat"])
async def test_a_shell_that_waits_for_input_is_told_in_time(
    add: Add, sshd: Sshd, script: str
) -> None:
    """A hive is started with a pipe as its input, from which such a shell reads."""
    sshd.login_script = script
    await add().connect()  # its host key is known now
    row = NodeRow(node_name=NAME, ssh_host="127.0.0.1", ssh_port=sshd.port)
    ssh = SshConnection(row, 5, shell_within_s=0.5)
    reading, writing = os.pipe()
    began = time.monotonic()
    with os.fdopen(writing, "wb"):
        with pytest.raises(SshConnectionFailed) as caught:
            await ssh.start("echo here", stdin=os.fdopen(reading, "rb", buffering=0))
        assert time.monotonic() - began < 8  # 10 s unless told otherwise
    await ssh.close()
    assert "its start-up files wait, or ask for input" in caught.value.details["reason"]
    async with asyncio.timeout(5):
        await asyncio.gather(*(child.wait() for child in sshd.children))
