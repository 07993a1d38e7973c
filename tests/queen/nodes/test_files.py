"""Files that are sent, and ports that are led through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rbee.contract.errors import SshConnectionFailed

from .conftest import Add, until
from .sshd import Sshd


async def test_bytes_are_written_into_the_home_there(add: Add, sshd: Sshd) -> None:
    data = bytes(range(256)) * 1000
    await add().put(data, "a file")
    assert (sshd.home / "a file").read_bytes() == data


async def test_a_file_is_written_where_it_is_told(add: Add, sshd: Sshd, tmp_path: Path) -> None:
    source = tmp_path / "rbee-0-py3-none-any.whl"
    source.write_bytes(b"wheel" * 100_000)
    await add().put(source, str(sshd.home / "to.whl"))
    assert (sshd.home / "to.whl").read_bytes() == source.read_bytes()


async def test_what_can_not_be_written_is_told_with_its_path(add: Add) -> None:
    with pytest.raises(SshConnectionFailed, match="no/such/folder could not be written"):
        await add().put(b"", "no/such/folder")


async def test_a_file_that_is_not_here_is_told(add: Add, tmp_path: Path) -> None:
    with pytest.raises(SshConnectionFailed, match="could not be written"):
        await add().put(tmp_path / "missing", "x")


@pytest.fixture
async def there() -> AsyncIterator[int]:
    """The port of a program there, which says all in capitals."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def shouted(port: int) -> bytes:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        said = await reader.readline()
        writer.close()
        return said


async def test_a_port_there_is_reached_here(add: Add, there: int) -> None:
    ssh = add()
    here = await ssh.forward(there)
    assert here not in (0, there)
    assert await ssh.forward(there) == here
    assert await shouted(here) == b"HELLO\n"


async def test_after_a_break_a_port_is_led_through_anew(add: Add, sshd: Sshd, there: int) -> None:
    ssh = add()
    old = await ssh.forward(there)
    sshd.drop()
    await until(lambda: not ssh.is_connected)
    with pytest.raises(OSError):
        await shouted(old)
    assert await shouted(await ssh.forward(there)) == b"HELLO\n"
    assert len(sshd.connections) == 2


async def test_where_nobody_answers_nothing_is_led_through(add: Add, sshd: Sshd) -> None:
    ssh = add(ssh_port=1)
    with pytest.raises(SshConnectionFailed):
        await ssh.forward(9)
    with pytest.raises(SshConnectionFailed):
        await ssh.put(b"", "x")
    with pytest.raises(SshConnectionFailed):
        await ssh.run("true")
