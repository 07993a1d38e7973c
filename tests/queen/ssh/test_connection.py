"""What is typed here arrives there: every word unharmed, with both outputs and the exit code; files
that are sent, and ports that are forwarded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbee.contract.errors import SshConnectionFailed
from rbee.queen.ssh.connection import Result
from rbee.queen.ssh.hive_process import RUN
from tests.queen.conftest import Add
from tests.queen.sshd import Sshd, until

_WORDS = 'for word; do printf "%s\\0" "$word"; done'
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


async def test_every_word_arrives_as_it_is(add: Add) -> None:
    ssh = add()
    loop = asyncio.get_running_loop()

    @settings(max_examples=60)
    @given(st.lists(_TEXT, max_size=4))
    def check(words: list[str]) -> None:
        async def ran() -> None:
            result = await ssh.run(_WORDS, *words, within_s=10)
            assert result == Result(0, "".join(f"{word}\0" for word in words), "")

        asyncio.run_coroutine_threadsafe(ran(), loop).result(20)

    await asyncio.to_thread(check)


@pytest.mark.parametrize(
    "word",
    [
        "x; touch pwned",
        "$(touch pwned)",
        "`touch pwned`",
        "a\nb",
        "'",
        '"',
        "~/x",
        "*",
        "-n",
        "a\\",
    ],
)
async def test_nothing_in_a_word_is_taken_for_the_shells(add: Add, sshd: Sshd, word: str) -> None:
    assert (await add().run(_WORDS, word)).out == word + "\0"
    assert not (sshd.home / "pwned").exists()


@pytest.mark.parametrize(
    "place", ["bin", "a folder", "it's", 'say "hi"', "$(touch pwned)", "new\nline", "-x"]
)
@pytest.mark.parametrize("prefix", ["~/", "", "/"])
async def test_a_program_is_found_by_whatever_path(
    add: Add, sshd: Sshd, prefix: str, place: str
) -> None:
    sshd.write(f"{place}/rbee-hive", '#!/bin/sh\nprintf "%s|" "$@"')
    program = f"{sshd.home}/{place}/rbee-hive" if prefix == "/" else f"{prefix}{place}/rbee-hive"
    result = await add().run(RUN, program, "detect", "a b")
    assert result == Result(0, "detect|a b|", "")
    assert not (sshd.home / "pwned").exists()


@pytest.mark.parametrize("folder", [".local/bin", "rbee/.venv/bin"])
async def test_a_bare_name_is_found_where_people_install_programs(
    add: Add, sshd: Sshd, folder: str
) -> None:
    sshd.write(f"{folder}/rbee-hive", "#!/bin/sh\necho here")
    assert (await add().run(RUN, "rbee-hive")).out == "here\n"


async def test_the_path_goes_before_them(add: Add, sshd: Sshd) -> None:
    sshd.write(".local/bin/rbee-hive", "#!/bin/sh\necho late")
    sshd.write("first/rbee-hive", "#!/bin/sh\necho first")
    sshd.environment["PATH"] += f":{sshd.home}/first"
    assert (await add().run(RUN, "rbee-hive")).out == "first\n"


async def test_what_is_not_there_ends_with_127(add: Add) -> None:
    assert (await add().run(RUN, "rbee-hive")).code == 127


async def test_both_outputs_and_the_exit_code_come_back(add: Add) -> None:
    result = await add().run("echo out; echo err >&2; exit 7")
    assert result == Result(7, "out\n", "err\n")


async def test_a_signal_is_a_negative_code(add: Add) -> None:
    assert (await add().run("kill -TERM $$")).code == -15


async def test_each_line_of_both_outputs_is_told_as_it_comes(add: Add, sshd: Sshd) -> None:
    heard: list[str] = []
    first = asyncio.Event()

    def hear(line: str) -> None:
        heard.append(line)
        first.set()

    sshd.write("go", "", 0o600)
    waits = 'echo "one  "; while [ -e go ]; do sleep 0.02; done; echo two >&2; printf three'
    running = asyncio.create_task(add().run(waits, on_line=hear))
    async with asyncio.timeout(10):
        await first.wait()
        assert heard == ["one"]
        (sshd.home / "go").unlink()
        assert (await running).out == "one  \nthree"
    assert sorted(heard) == ["one", "three", "two"]


async def test_what_is_no_text_does_no_harm(add: Add) -> None:
    assert (await add().run(r"printf '\377x\n'")).out == "\ufffdx\n"


async def test_it_may_not_take_longer_than_it_is_given(add: Add) -> None:
    began = time.monotonic()
    with pytest.raises(SshConnectionFailed, match=r"within 0\.3 s") as caught:
        await add().run("sleep 20", within_s=0.3)
    assert time.monotonic() - began < 5
    assert caught.value.details["reason"].startswith("workstation did not end")


async def test_it_has_no_input_to_wait_for(add: Add) -> None:
    assert (await add().run("cat; echo done", within_s=5)).out == "done\n"


async def test_a_connection_that_breaks_meanwhile_is_told(add: Add, sshd: Sshd) -> None:
    ssh = add()
    begun = asyncio.Event()
    running = asyncio.create_task(
        ssh.run("echo begun; exec sleep 20", within_s=10, on_line=lambda _: begun.set())
    )
    async with asyncio.timeout(10):
        await begun.wait()
        sshd.drop()
        with pytest.raises(SshConnectionFailed):
            await running


async def test_a_process_that_nobody_waits_for_any_more_is_closed(add: Add, sshd: Sshd) -> None:
    ssh = add()
    connection = await ssh.connect()
    plain, opened, gate = connection.create_process, asyncio.Event(), asyncio.Event()

    async def slow(*words: Any, **more: Any) -> Any:
        process = await plain(*words, **more)
        opened.set()
        await gate.wait()
        return process

    connection.create_process = slow  # type: ignore[method-assign]
    starting = asyncio.create_task(ssh.start("trap '' HUP TERM PIPE; exec sleep 60"))
    await asyncio.wait_for(opened.wait(), 5)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    gate.set()
    await until(lambda: sshd.sessions == 0)


async def test_after_a_break_the_next_command_connects_anew(add: Add, sshd: Sshd) -> None:
    ssh = add()
    await ssh.run("true")
    sshd.drop()
    await until(lambda: not ssh.is_connected)
    assert (await ssh.run("echo back")).out == "back\n"
    assert len(sshd.connections) == 2


async def test_many_at_once_share_one_connection(add: Add, sshd: Sshd) -> None:
    ssh = add()
    results = await asyncio.gather(*(ssh.run('echo "$1"', str(turn)) for turn in range(8)))
    assert [result.out for result in results] == [f"{turn}\n" for turn in range(8)]
    assert len(sshd.connections) == 1


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


async def test_a_connection_that_falls_silent_is_noticed(add: Add, sshd: Sshd) -> None:
    ssh = add(keepalive_s=0.1)
    begun = asyncio.Event()
    running = asyncio.create_task(
        ssh.run("echo begun; exec sleep 20", within_s=15, on_line=lambda _: begun.set())
    )
    async with asyncio.timeout(10):
        await begun.wait()
        sshd.hang()
        with pytest.raises(SshConnectionFailed):
            await running
    assert not ssh.is_connected


async def test_a_connection_that_is_only_idle_is_kept(add: Add, sshd: Sshd) -> None:
    ssh = add(keepalive_s=0.05)
    await ssh.run("sleep 0.4")
    assert ssh.is_connected
    assert len(sshd.connections) == 1
