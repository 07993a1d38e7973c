"""A hive over SSH: tied by a lifeline, and ended for sure."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from rbee.contract.daemons import Hello, Listening
from rbee.contract.errors import AddressInUse, ProgramFailed, SshConnectionFailed
from rbee.contract.nodes import Owner
from rbee.queen.ssh.connection import SshConnection
from rbee.queen.ssh.hive_process import SshHiveProcess, start
from tests.queen.conftest import Add
from tests.queen.sshd import Sshd, until

HELLO = Hello("key-of-the-node", Owner("queen-rbee", 1, 2.0, "blep"), hf_token="hf_token")
UP = """#!/bin/sh
echo "motd {noise"
echo "{\\"event\\":\\"listening\\",\\"program\\":\\"rbee-hive\\",\\"version\\":\\"1\\",\
\\"pid\\":$$,\\"url\\":\\"http://127.0.0.1:$4\\"}"
exec >/dev/null 2>&1
"""
TIED = UP + 'echo "$@" >args; cat >input; exit 3'
# Notes the end of the lifeline.
WATCHED = "exec 3<&0; (cat <&3 >/dev/null; : >closed) &\n"
STUBBORN = UP + "trap '' TERM HUP PIPE; exec sleep 60"
PROGRAM = "rbee-hive"
COMMAND = [f"~/{PROGRAM}", "daemon", "--lifeline", "--port", "9200"]


async def begin(
    ssh: SshConnection, heartbeat_s: float = 5, hello: Hello = HELLO, **patience: float
) -> SshHiveProcess:
    async with asyncio.timeout(10):
        running, listening = await start(ssh, COMMAND, hello, heartbeat_s, **patience)
    assert listening.program == PROGRAM
    return running


def input_of(sshd: Sshd) -> list[Any]:
    lines = (sshd.home / "input").read_text().split("\n")
    return [json.loads(line) if line else line for line in lines]


async def its_beginning_is_known(sshd: Sshd) -> None:
    """Asked of the node in a command of its own, which has ended."""
    await until(lambda: 0 in sshd.codes)


def open_descriptors() -> set[str]:
    return {
        f"{entry.name} {target}"
        for entry in Path("/proc/self/fd").iterdir()
        if entry.exists() and (target := str(entry.readlink())).startswith(("pipe", "socket"))
    }


async def test_it_is_told_everything_on_its_first_line(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, TIED)
    running = await begin(add())
    assert running.is_running
    assert await running.kill() == 3
    assert not running.is_running
    assert await running.wait() == 3
    first = input_of(sshd)[0]
    assert first == {
        "api_key": "key-of-the-node",
        "owner": {"program": "queen-rbee", "pid": 1, "started": 2.0, "host": "blep"},
        "bind": "127.0.0.1",
        "announce": "127.0.0.1",
        "hf_token": "hf_token",
    }
    assert (sshd.home / "args").read_text() == "daemon --lifeline --port 9200\n"
    told = " ".join(sshd.commands)
    assert "key-of-the-node" not in told
    assert "hf_token" not in told


async def test_it_binds_what_the_server_says_that_was_dialled(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, TIED)
    sshd.environment["SSH_CONNECTION"] = "10.0.0.1 50000 10.0.0.2 22"
    await (await begin(add())).kill()
    first = input_of(sshd)[0]
    assert (first["bind"], first["announce"]) == ("10.0.0.2", "127.0.0.1")


async def test_a_server_that_says_nothing_of_itself_is_local(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, TIED)
    sshd.environment["SSH_CONNECTION"] = ""
    await (await begin(add())).kill()
    assert input_of(sshd)[0]["bind"] == "127.0.0.1"


async def test_what_is_to_be_bound_may_be_told(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, TIED)
    hello = Hello("key", HELLO.owner, bind="127.0.0.9")
    await (await begin(add(), hello=hello)).kill()
    first = input_of(sshd)[0]
    assert first["bind"] == "127.0.0.9"
    assert "announce" not in first
    assert "hf_token" not in first


async def test_the_noise_of_a_login_shell_is_passed_over(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, TIED)
    sshd.login_script = "printf 'Welcome!\\nno line'; printf mail >&2"
    ssh = add()
    assert await (await begin(ssh)).kill() == 3
    sshd.write(PROGRAM, STUBBORN)
    running = await begin(ssh, last_words_s=0.3)
    await its_beginning_is_known(sshd)
    assert await running.kill() == -9


async def test_heartbeats_follow(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, TIED)
    running = await begin(add(), heartbeat_s=0.02)
    told = sshd.home / "input"
    await until(lambda: told.exists() and told.read_text().count("\n") > 5)
    await running.kill()
    assert set(input_of(sshd)[1:]) == {""}


async def test_letting_go_ends_it_at_once(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, TIED)
    running = await begin(add())
    running.cut_lifeline()
    assert await asyncio.wait_for(running.wait(), 5) == 3
    assert await running.kill() == 3


async def test_an_end_that_was_asked_for_is_waited_for(add: Add, sshd: Sshd) -> None:
    sshd.write("go", "")
    sshd.write(PROGRAM, UP + WATCHED + "while [ -e go ]; do sleep 0.02; done; exit 0")
    running = await begin(add())
    ending = asyncio.create_task(running.end(5))
    await asyncio.sleep(0.05)
    assert not ending.done()
    assert not (sshd.home / "closed").exists()
    (sshd.home / "go").unlink()
    assert await asyncio.wait_for(ending, 5) == 0


async def test_one_that_ignores_everything_is_killed_by_its_pid(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, STUBBORN)
    running = await begin(add(), last_words_s=0.3)
    await its_beginning_is_known(sshd)
    assert await asyncio.wait_for(running.end(0.05), 10) == -9
    assert await running.kill() == -9


async def test_another_process_of_that_pid_is_not_killed(add: Add, sshd: Sshd) -> None:
    sshd.write("bin/ps", "#!/bin/sh\necho Thu Jan  1 00:00:00 1970; rm ~/bin/ps\n")
    sshd.write(PROGRAM, STUBBORN)
    running = await begin(add(), last_words_s=0.3)
    await its_beginning_is_known(sshd)
    assert await asyncio.wait_for(running.kill(), 10) is None
    assert sshd.codes[0] is None
    assert await asyncio.wait_for(running.kill(), 10) is None  # asked again, it is no error


async def test_what_was_asked_of_its_machine_is_waited_for(add: Add, sshd: Sshd) -> None:
    sshd.write("bin/ps", "#!/bin/sh\nsleep 0.3; echo then; : >told\n")
    sshd.write(PROGRAM, TIED)
    running = await begin(add())
    assert await asyncio.wait_for(running.kill(), 10) == 3
    assert (sshd.home / "told").exists()


async def test_a_connection_that_is_lost_is_an_end_without_a_code(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, TIED)
    before = open_descriptors()
    running = await begin(add())
    sshd.drop()
    assert await asyncio.wait_for(running.wait(), 5) is None
    assert not running.is_running
    await until(lambda: len(open_descriptors()) <= len(before))
    assert await asyncio.wait_for(running.kill(), 5) is None
    await until(lambda: sshd.codes[0] == 3)  # it saw the end of its lifeline


async def test_the_error_that_it_names_is_raised(add: Add, sshd: Sshd) -> None:
    body = '{"code":"ADDRESS_IN_USE","message":"taken","details":{"address":"a","holder":"x"}}'
    line = f'{{"event":"failed","program":"rbee-hive","error":{body}}}'
    sshd.write(PROGRAM, f"#!/bin/sh\necho noise\necho '{line}'\nexit 1")
    with pytest.raises(AddressInUse) as caught:
        await begin(add())
    assert caught.value.details["holder"] == "x"


async def test_its_last_words_are_told(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, "#!/bin/sh\necho 'ImportError: no libllama' >&2\nexit 1")
    with pytest.raises(ProgramFailed, match="did not start on workstation: ImportError") as caught:
        await begin(add())
    assert caught.value.details["reason"] == "ImportError: no libllama"


async def test_one_that_says_nothing_is_told_with_its_code(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, "#!/bin/sh\nexit 5")
    with pytest.raises(ProgramFailed, match="code 5"):
        await begin(add())


@pytest.mark.parametrize("command", [["~/nowhere/rbee-hive"], [PROGRAM]])
async def test_where_rbee_is_not_installed_the_way_to_install_it_is_told(
    add: Add, sshd: Sshd, command: list[str]
) -> None:
    sshd.late_s = 0.2
    with pytest.raises(ProgramFailed, match="not installed on workstation") as caught:
        await asyncio.wait_for(start(add(), command, HELLO, 5), 10)
    assert command[0] in caught.value.message
    assert caught.value.details["reason"] == "not installed"


async def test_one_that_does_not_get_ready_is_ended(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, "#!/bin/sh\necho warming up\ncat >input\nexit 4")
    before = open_descriptors()
    ssh = add()
    with pytest.raises(ProgramFailed, match="no ready line came in time"):
        await begin(ssh, ready_s=0.3)
    await until(lambda: sshd.codes[0] == 4)
    await ssh.close()
    await until(lambda: len(open_descriptors()) <= len(before))


async def test_the_session_of_one_that_does_not_get_ready_is_closed(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, "#!/bin/sh\ntrap '' TERM HUP PIPE\nexec sleep 60")
    ssh = add()
    with pytest.raises(ProgramFailed, match="no ready line came in time"):
        await begin(ssh, ready_s=0.3)
    await until(lambda: sshd.sessions == 0)


async def test_a_machine_that_starts_nothing_is_not_waited_for_for_ever(
    add: Add, sshd: Sshd
) -> None:
    ssh = add()
    await ssh.connect()
    sshd.hang()
    began = time.monotonic()
    with pytest.raises(ProgramFailed, match="no ready line came in time"):
        await begin(ssh, ready_s=0.3)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.03, 0.2])
async def test_a_start_that_is_canceled_leaves_nothing(
    add: Add, sshd: Sshd, after_s: float
) -> None:
    sshd.write(PROGRAM, "#!/bin/sh\ncat >input\nexit 4")
    ssh = add()
    await ssh.connect()
    before = open_descriptors()
    starting = asyncio.create_task(start(ssh, COMMAND, HELLO, 5))
    await asyncio.sleep(after_s)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    if sshd.commands:
        await until(lambda: all(code == 4 for code in sshd.codes))
    assert (await ssh.run("echo here")).out == "here\n"
    await until(lambda: len(open_descriptors() - before) <= 6)  # those of the server's shells
    await ssh.close()


async def test_a_connection_that_is_lost_while_it_starts_is_told(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, "#!/bin/sh\n: >begun\ncat >input\nexit 4")
    starting = asyncio.create_task(begin(add()))
    await until(lambda: (sshd.home / "begun").exists())
    sshd.drop()
    with pytest.raises(SshConnectionFailed):
        await starting
    await until(lambda: sshd.codes[0] == 4)


async def test_many_starts_leave_no_descriptor_open(add: Add, sshd: Sshd) -> None:
    sshd.write(PROGRAM, TIED)
    ssh = add()

    async def once() -> None:
        assert await (await begin(ssh)).kill() == 3

    await once()
    await until(lambda: sshd.is_idle)
    before = len(open_descriptors())
    for _ in range(4):
        await once()
    await until(lambda: len(open_descriptors()) <= before)


def test_the_ready_line_is_the_contracts() -> None:
    assert Listening.__struct_config__.tag == "listening"
