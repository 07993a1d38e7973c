"""From a process's start to the first token: the worker beside llama.cpp's own server.

    python -m benchmarks.worker_start [--rounds 10]

Needs the extra `bench`. Each round starts every program once, in alternating order, with the same
model, slots, context and threads, and asks it for one token after a prompt of some 40 tokens. The
figures are medians in milliseconds since the start, with the lowest and the highest, and the median
of the rounds' ratios. `bare loop` is a Python process that only imports the bindings, loads and
decodes. `assigned` is the worker's load alone, in a process that has imported everything before.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from benchmarks.main_job import bundled
from benchmarks.peers import KINDS, THREADS, Peer, command, free_port
from benchmarks.streams import ask
from benchmarks.worker import BASE, CONTEXT, SLOTS

PROMPT = "Write a short story about a lighthouse keeper. " * 4
READY, TOKEN = "ready", "first token"
PATIENCE_S = 60.0
PAUSE_S = 0.002

Marks = dict[str, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--stand-by", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stand_by:
        stand_by()
        return
    work: dict[str, Callable[[], Marks]] = {
        "rbee": lambda: served("rbee"),
        BASE: lambda: served(BASE),
        "bare loop": bare,
        "assigned": assigned,
    }
    found: dict[str, list[Marks]] = {name: [] for name in work}
    for number in range(given.rounds + 1):
        for name in list(work)[:: 1 if number % 2 == 0 else -1]:
            marks = work[name]()
            if number:  # the first round fills the caches of files and bytecode
                found[name].append(marks)
    for name, rounds in found.items():
        print(f"\n{name}: milliseconds since its start")
        for mark in rounds[0]:
            values = [marks[mark] for marks in rounds]
            spread = f"{min(values):.0f}…{max(values):.0f}"
            line = f"  {mark:14}{statistics.median(values):8.0f}   {spread:>12}"
            if mark in found[BASE][0]:
                pairs = zip(values, (marks[mark] for marks in found[BASE]), strict=True)
                line += f"   {statistics.median(a / b for a, b in pairs):6.2f} of {BASE}"
            print(line)


def served(name: str) -> Marks:
    """Start a server: until it accepts connections, until it is ready, until the first token."""
    port = free_port()
    peer = Peer(name, f"http://127.0.0.1:{port}")
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        process = subprocess.Popen(
            command(name, port, SLOTS, CONTEXT),
            env={**os.environ, "HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(process, lambda: _listens(port))
            listens = time.perf_counter()
            until(process, lambda: _ready(peer))
            ready = time.perf_counter()
            answer = asyncio.run(ask(peer, PROMPT, 1))
        finally:
            process.kill()
            process.wait()
    moments = {"listens": listens, READY: ready, TOKEN: answer.arrivals[0]}
    return {mark: (moment - began) * 1000 for mark, moment in moments.items()}


def bare() -> Marks:
    """Start the bare loop."""
    numbers = [str(number) for number in (SLOTS, CONTEXT, THREADS)]
    words = [sys.executable, "-m", "benchmarks.raw_loop", str(bundled()), *numbers, PROMPT]
    began = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        return {mark: line_after(process, began) for mark in (READY, TOKEN)}


def assigned() -> Marks:
    """Give the model to a process that stands by."""
    words = [sys.executable, "-m", "benchmarks.worker_start", "--stand-by"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        line_after(process, 0.0)
        assert process.stdin is not None
        began = time.perf_counter()
        process.stdin.write(b"load\n")
        process.stdin.close()
        return {READY: line_after(process, began)}


def stand_by() -> None:
    """Import what a worker needs, and load once a line comes."""
    from rbee.contract.config import Config
    from rbee.worker.engine.load import Load
    from rbee.worker.model import context, llama, sampling  # noqa: F401
    from rbee.worker.settings import WorkerSettings

    settings = WorkerSettings(
        model=bundled(),
        model_ref="bundled",
        worker_id="standby",
        backend=llama.initialise()[-1],
        device=0,
        host="127.0.0.1",
        port=0,
        slots=SLOTS,
        context=CONTEXT,
        threads=THREADS,
        mmap=True,
        cache_ram_mb=0,
        callback_url=None,
        lifeline=False,
        insecure=False,
        config=Config(),
    )
    print("standing by", flush=True)
    sys.stdin.readline()

    async def load() -> None:
        await asyncio.to_thread(Load(settings, lambda _: None, lambda _: None))

    asyncio.run(load())
    print("loaded", flush=True)


def line_after(process: subprocess.Popen[bytes], began: float) -> float:
    """Milliseconds until the next line of a process."""
    assert process.stdout is not None
    if not process.stdout.readline():
        sys.exit(f"{process.args!r} ended with {process.wait()}")
    return (time.perf_counter() - began) * 1000


def until(process: subprocess.Popen[bytes], so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{process.args!r} is not ready (exit code {process.poll()})")
        time.sleep(PAUSE_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _ready(peer: Peer) -> bool:
    kind = KINDS[peer.name]
    try:
        with urllib.request.urlopen(peer.url + kind.ready, timeout=5) as reply:
            return kind.word in reply.read()
    except (urllib.error.URLError, ConnectionError):
        return False


if __name__ == "__main__":
    main()
