"""What a streamed chat costs through the queen, beside the worker itself and xllamacpp's server.

    python -m benchmarks.gateway [--rounds 9] [--tokens 64] [--peer]

It runs in a world of the harness: one worker with one thread and eight slots. In each round, each
server is asked for one chat, and then for eight at once, in turn, so that what else the machine
does meets all of them. The figures are medians: milliseconds to the first token and tokens per
second, and for the queen's routes the queen's own processor time for each token, in
microseconds. `--peer` also asks
xllamacpp, which must be installed.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.main_job import bundled
from benchmarks.peers import Peer, free_port, wait_until_ready
from benchmarks.streams import Answer, read_answer
from harness.model_files.cache import ModelFiles
from harness.world import cluster
from harness.world.commands import Commands
from harness.world.evidence import Evidence
from harness.world.world import World

_SLOTS, _CONTEXT = 8, 8192
_OURS, _THEIRS = b"event: token", b'"content":"'


@dataclass
class Server:
    """`mark` is in each line of a stream that has a token. `process` is the queen, where it is on
    the way."""

    url: str
    mark: bytes
    fields: dict[str, Any]
    process: psutil.Process | None = None
    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def ask(self, key: str, tokens: int, word: int) -> Answer:
        text = f"Number {word}: tell me a story of the sea and of those who live by it."
        body: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
        body |= {"max_tokens": tokens, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
        headers = {"Authorization": f"Bearer {key}"}
        return await read_answer(self.url, {**body, **self.fields}, self.mark, tokens, headers)

    async def measure(self, key: str, tokens: int, at_once: int, word: int) -> None:
        """One round of so many answers at once."""
        before = self._cpu_s()
        answers = await asyncio.gather(*(self.ask(key, tokens, word + at) for at in range(at_once)))
        spent = self._cpu_s() - before
        span = max(each.ended for each in answers) - min(each.sent for each in answers)
        count = sum(len(each.arrivals) for each in answers)
        rate = answers[0].rate if at_once == 1 else count / span
        self.figures[f"{at_once} first ms"].append(min(each.first_ms for each in answers))
        self.figures[f"{at_once} tokens/s"].append(rate)
        self.figures[f"{at_once} cpu us"].append(spent / count * 1e6)

    def _cpu_s(self) -> float:
        if self.process is None:
            return 0.0
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--peer", action="store_true")
    given = parser.parse_args()
    shelf = ModelFiles()
    with ExitStack() as stack:
        stack.callback(shelf.close)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        world = World(Commands({}), shelf, Evidence(Path(folder), "gateway"))
        stack.callback(world.end, judge=False)
        servers = _boot(world)
        if given.peer:
            servers["xllamacpp /v1/chat/completions"] = _peer(stack)
        asyncio.run(_measure(servers, world.key, given.rounds, given.tokens))
        _print(servers)


def _boot(world: World) -> dict[str, Server]:
    world.set("worker", "slots", _SLOTS)
    world.set("worker", "context", _CONTEXT)
    world.start_daemon("queen-rbee daemon")
    cluster.ask(world, {"prompt": "hi", "max_tokens": 2})
    queen, worker = world.queen_url, cluster.only_worker(world)["url"]
    process = cluster.process_at(world, queen)
    return {
        "the worker's /v1/inference": Server(f"{worker}/v1/inference", _OURS, {}),
        "the queen's /v2/tasks": Server(f"{queen}/v2/tasks", _OURS, {}, process),
        "the queen's /v1/chat/completions": Server(
            f"{queen}/v1/chat/completions", _THEIRS, {"stream": True}, process
        ),
    }


def _peer(stack: ExitStack) -> Server:
    port = free_port()
    numbers = [str(number) for number in (port, _SLOTS, _CONTEXT, 1)]
    argv = [sys.executable, "-m", "benchmarks.peers", "xllamacpp", str(bundled()), *numbers]
    silent = subprocess.DEVNULL
    process = stack.enter_context(subprocess.Popen(argv, stdout=silent, stderr=silent))
    stack.callback(process.terminate)
    wait_until_ready(process, Peer("xllamacpp", f"http://127.0.0.1:{port}"))
    return Server(f"http://127.0.0.1:{port}/v1/chat/completions", _THEIRS, {"stream": True})


async def _measure(servers: dict[str, Server], key: str, rounds: int, tokens: int) -> None:
    for number in range(rounds + 1):
        for server in servers.values():
            for at_once in (1, _SLOTS):
                await server.measure(key, tokens, at_once, number * 100)
        if number == 0:  # the first round fills caches
            for server in servers.values():
                server.figures.clear()


def _print(servers: dict[str, Server]) -> None:
    names = [f"{n} {what}" for n in (1, _SLOTS) for what in ("first ms", "tokens/s", "cpu us")]
    print("| | " + " | ".join(names) + " |")
    for name, server in servers.items():
        found = [f"{statistics.median(server.figures[each]):.1f}" for each in names]
        print(f"| {name} | " + " | ".join(found) + " |")


if __name__ == "__main__":
    main()
