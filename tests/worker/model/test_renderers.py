"""The processes that render templates: what they may take, and when they are gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.watching.chat_templates import is_gone
from harness.world.waiting import wait_until
from rbee.worker.model.killable import Failed
from rbee.worker.model.templates import process
from rbee.worker.model.templates.renderers import Renderers, Templates
from tests.worker.children import running

LOOPING = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
TEMPLATES = Templates(
    {
        "short": "{{ messages[0].content }}",
        "looping": LOOPING,
        "lorem": "{{ lipsum(n=100000) }}",
        "greedy": "{% set ns = namespace(s='a' * 9999) %}{% for a in range(99) %}"
        "{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
        "long": "{{ messages[0].content * 50000000 }}",
        "computing": "{{ 7 ** (7 ** (9 + messages | length)) }}",
    },
    {},
)


def ask(name: str) -> dict[str, Any]:
    return {
        "render": name,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [],
        "variables": {},
    }


def processes() -> list[psutil.Process]:
    """Those that render. Grammars have processes too."""
    return running(process)


async def until(so: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, "a process", so, 20)


@pytest.fixture
def deadline_s() -> float:
    return 3


@pytest.fixture
async def renderers(deadline_s: float) -> AsyncIterator[Renderers]:
    assert processes() == []  # every test closes its own
    found = Renderers(deadline_s)
    yield found
    await found.close()
    assert processes() == []


@pytest.mark.parametrize(
    ("name", "deadline_s", "words"),
    [
        ("looping", 1, "took longer than 1 s"),
        ("lorem", 0.5, "took longer than 0.5 s"),
        ("greedy", 60, "takes more than 1024 MB"),
        ("long", 60, "writes more than 64 MB"),
    ],
)
async def test_what_takes_too_much_is_ended_and_the_next_one_is_rendered(
    renderers: Renderers, name: str, words: str
) -> None:
    with pytest.raises(Failed, match=words):
        await renderers.ask(TEMPLATES, ask(name))
    assert processes() == []
    assert await renderers.ask(TEMPLATES, ask("short")) == "hi"


async def test_one_process_is_kept(renderers: Renderers) -> None:
    renderers.start()
    [started] = processes()
    renderers.prepare(TEMPLATES)
    for _ in range(3):
        assert await renderers.ask(TEMPLATES, ask("short")) == "hi"
    assert processes() == [started]


async def test_a_template_that_loops_holds_up_nobody_else(renderers: Renderers) -> None:
    looping = asyncio.create_task(renderers.ask(TEMPLATES, ask("looping")))
    await until(processes)
    assert await renderers.ask(TEMPLATES, ask("short")) == "hi"
    assert not looping.done()
    looping.cancel()
    await asyncio.wait({looping})


async def test_the_work_ends_with_its_asker(renderers: Renderers) -> None:
    looping = asyncio.create_task(renderers.ask(TEMPLATES, ask("looping")))
    await until(processes)
    [process] = processes()
    await until(lambda: process.cpu_times().user > 0.1)
    looping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looping
    assert processes() == []


async def test_a_process_that_was_killed_is_replaced(renderers: Renderers) -> None:
    assert await renderers.ask(TEMPLATES, ask("short")) == "hi"
    [process] = processes()
    process.kill()
    await until(lambda: is_gone(process))
    assert await renderers.ask(TEMPLATES, ask("short")) == "hi"


async def test_a_process_that_ends_while_it_renders_is_told(renderers: Renderers) -> None:
    asking = asyncio.create_task(renderers.ask(TEMPLATES, ask("looping")))
    await until(processes)
    [process] = processes()
    await until(lambda: process.cpu_times().user > 0.5)
    process.kill()
    with pytest.raises(Failed, match="has ended the process"):
        await asking


async def test_a_process_knows_no_secrets_and_holds_no_files(
    renderers: Renderers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    with (tmp_path / "open").open("w") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        assert await renderers.ask(TEMPLATES, ask("short")) == "hi"
        [process] = processes()
        assert "HF_TOKEN" not in process.environ()
        assert [file.path for file in process.open_files()] == []
        assert process.num_fds() == 3


async def test_one_that_is_killed_while_it_is_read_is_closed_only_when_nobody_reads_it(
    renderers: Renderers,
) -> None:
    """Otherwise its reader would wait for ever, or get what the next process writes."""
    renderers.start()
    renderers.prepare(TEMPLATES)
    asking = asyncio.create_task(renderers.ask(TEMPLATES, ask("short")))
    await asyncio.sleep(0)  # the first one reads that the process is ready, the second one waits
    asking.cancel()
    async with asyncio.timeout(20):
        await asyncio.wait({asking})
        assert await renderers.ask(TEMPLATES, ask("short")) == "hi"


PARENT = """
import asyncio, sys
from rbee.worker.model.templates.renderers import Renderers, Templates

async def main():
    request = {"render": "it", "messages": [], "tools": [], "variables": {}}
    await Renderers(600).ask(Templates({"it": sys.argv[1]}, {}), request)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_ends_with_its_parent_even_while_it_computes(number: signal.Signals) -> None:
    source = TEMPLATES.sources["computing"]
    with subprocess.Popen([sys.executable, "-c", PARENT, source]) as parent:
        [child] = wait_until("a child", psutil.Process(parent.pid).children, 20)
        wait_until("work", lambda: child.cpu_times().user > 0.5, 20)
        parent.send_signal(number)
    wait_until("its end", lambda: is_gone(child), 20)
