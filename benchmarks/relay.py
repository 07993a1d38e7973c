"""What the queen's relay costs: many streams at once from one worker, through the queen.

    python -m benchmarks.relay [--streams 200] [--rate 100] [--seconds 20] [--queen COMMAND]

The worker is `benchmarks.simulated_worker`, which gives each stream `--rate` tokens per second. The
figures are the events that reached the clients, the processor time of the queen for each, how much
of a core it took, and its memory before and after. Each route is measured by itself. `--queen` is
another queen, for instance that of another commit: "env PYTHONPATH=/tmp/before queen-rbee".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from harness.model_files.cache import ModelFiles
from harness.world import cluster
from harness.world.commands import Commands
from harness.world.evidence import Evidence
from harness.world.world import World

_SLOTS, _CONTEXT = 256, 8192
_ASKED = {"messages": [{"role": "user", "content": "hi"}]}
# What is asked besides, and what stands in each line with a token.
_ROUTES: dict[str, tuple[dict[str, Any], bytes]] = {
    "/v2/tasks": ({}, b"event: token"),
    "/v1/chat/completions": ({"stream": True}, b'"content":"'),
}
_MB = 1_000_000


class Reader(asyncio.Protocol):
    """Counts the tokens of one stream. It looks at nothing else, so that it costs little."""

    def __init__(self, head: bytes, mark: bytes) -> None:
        self.tokens = 0
        self.ended = asyncio.get_running_loop().create_future()
        self._head = head
        self._mark = mark

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        self.tokens += data.count(self._mark)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def read(url: str, key: str, asked: dict[str, Any], mark: bytes, streams: int) -> int:
    """The tokens that arrive in so many streams."""
    parts = urlsplit(url)
    body = json.dumps({**_ASKED, **asked}).encode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    readers = []
    for _ in range(streams):
        _, reader = await loop.create_connection(
            lambda: Reader(head + body, mark), parts.hostname, parts.port
        )
        readers.append(reader)
    await asyncio.gather(*(reader.ended for reader in readers))
    return sum(reader.tokens for reader in readers)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--queen", help="the command of the queen, if not the installed one")
    given = parser.parse_args()
    shelf = ModelFiles()
    with ExitStack() as stack:
        stack.callback(shelf.close)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        world = World(
            Commands({"queen": given.queen} if given.queen else {}),
            shelf,
            Evidence(Path(folder), "relay"),
        )
        stack.callback(world.end, judge=False)
        world.set("worker", "slots", _SLOTS)
        world.set("worker", "context", _CONTEXT)
        module = Path(__file__).parent.parent
        begin = f"env PYTHONPATH={module} SIMULATED_TOKENS_PER_S={given.rate}"
        world.set("worker", "command", f"{begin} {sys.executable} -m benchmarks.simulated_worker")
        world.start_daemon("queen-rbee daemon")
        cluster.ask(world, {"prompt": "hi", "max_tokens": 2})
        queen = cluster.process_at(world, world.queen_url)
        print("| route | events/s | queen, µs per event | of a core | MB before | MB after |")
        for route in _ROUTES:
            _measure(world, queen, route, given.streams, given.rate * given.seconds)


def _measure(world: World, queen: psutil.Process, route: str, streams: int, tokens: int) -> None:
    asked, mark = _ROUTES[route]

    def ask(tokens: int) -> int:
        fields = {**asked, "max_tokens": tokens}
        return asyncio.run(read(f"{world.queen_url}{route}", world.key, fields, mark, streams))

    ask(10)
    memory, spent, began = queen.memory_info().rss, _cpu_s(queen), time.perf_counter()
    count = ask(tokens)
    took, spent = time.perf_counter() - began, _cpu_s(queen) - spent
    if count != streams * tokens:
        sys.exit(f"{route}: {count} tokens of {streams * tokens} arrived")
    after = queen.memory_info().rss
    figures = count / took, spent / count * 1e6, spent / took, memory / _MB, after / _MB
    print(f"| {route} | " + " | ".join(f"{each:.2f}" for each in figures) + " |")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
