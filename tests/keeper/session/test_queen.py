"""A queen that does not answer is found by its pid file, and nothing else is taken for it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from rbee.contract.daemons import PidFile
from rbee.contract.errors import ProgramFailed
from rbee.keeper.session.queen import end_unresponsive, find_unresponsive
from rbee.runtime import kernel, paths, pid_file

Mute: TypeAlias = tuple[subprocess.Popen[bytes], int]

# Listens, says where, ignores TERM, and never answers.
_MUTE = """
import signal, socket, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""


@pytest.fixture
def mute() -> Iterator[Mute]:
    process = subprocess.Popen([sys.executable, "-c", _MUTE], stdout=subprocess.PIPE)
    assert process.stdout is not None
    yield process, int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def named(pid: int, port: int, later_s: float = 0.0) -> PidFile:
    since = kernel.started(pid)
    assert since is not None
    content = PidFile("queen-rbee", pid, since + later_s, f"http://127.0.0.1:{port}")
    pid_file.write(paths.pid_file("queen-rbee"), content)
    return content


def test_a_queen_that_holds_its_address_is_found(mute: Mute) -> None:
    process, port = mute
    content = named(process.pid, port)
    assert find_unresponsive("queen-rbee", "127.0.0.1", port) == content


def test_another_process_with_its_pid_is_not_the_queen(mute: Mute) -> None:
    process, port = mute
    named(process.pid, port, later_s=-60)
    assert find_unresponsive("queen-rbee", "127.0.0.1", port) is None


def test_a_process_that_holds_the_address_is_not_the_queen(
    mute: Mute,
) -> None:
    process, port = mute
    named(process.pid, port)
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert find_unresponsive("queen-rbee", "127.0.0.1", other.getsockname()[1]) is None


def test_without_a_pid_file_no_queen_is_found(mute: Mute) -> None:
    assert find_unresponsive("queen-rbee", "127.0.0.1", mute[1]) is None


def test_the_pid_file_of_another_program_does_not_name_a_queen(
    mute: Mute,
) -> None:
    process, port = mute
    content = named(process.pid, port)
    pid_file.write(
        paths.pid_file("queen-rbee"), msgspec.structs.replace(content, program="rbee-hive")
    )
    assert find_unresponsive("queen-rbee", "127.0.0.1", port) is None


def test_a_remote_queen_is_not_looked_for_here() -> None:
    assert find_unresponsive("queen-rbee", "192.0.2.1", 8080) is None


async def test_a_queen_that_ignores_term_is_killed(mute: Mute) -> None:
    process, port = mute
    await end_unresponsive(named(process.pid, port), grace_s=0.3)
    assert process.wait(5) == -signal.SIGKILL


async def test_a_process_that_has_got_the_pid_since_is_left_alone(
    mute: Mute,
) -> None:
    process, port = mute
    await end_unresponsive(named(process.pid, port, later_s=-60), grace_s=0.3)
    assert process.poll() is None


async def test_a_queen_that_can_not_be_ended_is_an_error(
    mute: Mute,
) -> None:
    process, port = mute
    with pytest.raises(ProgramFailed, match="still runs"):
        await end_unresponsive(named(process.pid, port), 0.1, kill=lambda pid, number: None)
