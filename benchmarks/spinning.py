"""How long a worker's threads should spin at their barriers, on an idle and on a busy machine.

    python -m benchmarks.spinning [--rounds 5]

It starts `llm-worker-rbee` on the bundled model under several values of GNU OpenMP's
GOMP_SPINCOUNT, a worker at a time, interleaved by round: alone, and then beside as many busy loops
as there are cores. It prints the seconds that 60 tokens of one stream take, 30 tokens of each of
eight streams, and the first token after a prompt of 600 words: medians, with the lowest and the
highest round. 300000 is OpenMP's own value, 1000 the worker's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers import Peer, running
from benchmarks.streams import ask

SETTINGS = ("300000", "10000", "1000", "100")
PROMPT = "Once upon a time"
LONG = "bees and foxes " * 200
WORK = ("60 tokens", "8 × 30 tokens", "600 words")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print("alone")
    table(rounds, 0)
    cores = os.cpu_count() or 1
    print(f"\nbeside {cores} busy loops")
    table(rounds, cores)


def table(rounds: int, loops: int) -> None:
    """Print one row per value."""
    found: dict[str, list[tuple[float, ...]]] = {setting: [] for setting in SETTINGS}
    for _ in range(rounds):
        for setting in SETTINGS:
            found[setting].append(measure(setting, loops))
    print(f"  {'':10}" + "".join(f"{work:>26}" for work in WORK))
    for setting, times in found.items():
        cells = (
            f"{statistics.median(each):.2f} s ({min(each):.2f}…{max(each):.2f})"
            for each in zip(*times, strict=True)
        )
        print(f"  {setting:10}" + "".join(f"{cell:>26}" for cell in cells))


def measure(setting: str, loops: int) -> tuple[float, ...]:
    """Seconds for each work of a worker of its own."""
    os.environ["GOMP_SPINCOUNT"] = setting
    with running(["rbee"], slots=8, context=4096) as peers:
        peer = peers["rbee"]
        asyncio.run(timed(peer, PROMPT, 4, 1))
        with busy(loops):
            return (
                asyncio.run(timed(peer, PROMPT, 60, 1)),
                asyncio.run(timed(peer, PROMPT, 30, 8)),
                asyncio.run(timed(peer, LONG, 1, 1)),
            )


async def timed(peer: Peer, prompt: str, tokens: int, streams: int) -> float:
    """Seconds until so many streams have ended."""
    began = time.perf_counter()
    await asyncio.gather(*(ask(peer, prompt, tokens) for _ in range(streams)))
    return time.perf_counter() - began


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep every core busy with other processes."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
