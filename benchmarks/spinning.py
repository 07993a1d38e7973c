"""How long llama.cpp's threads should spin at their barriers, on an idle and on a busy machine.

    python -m benchmarks.spinning [--rounds 5]

It decodes with the bundled model under several values of GNU OpenMP's GOMP_SPINCOUNT, one process
per value, interleaved by round, and then again beside as many busy loops as there are cores. It
prints tokens per second: the median, the lowest and the highest round. `default` is OpenMP's own
choice, which the worker leaves as it is.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.main_job import bundled

SETTINGS = ("default", "100", "1000", "10000")
TOKENS = 24
TOO_SLOW_S = 20.0

# Runs in a process of its own: the libraries read the value when they are loaded.
DECODE = """
import sys, time
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=512, n_threads=int(sys.argv[2]), verbose=False)
model.eval(model.tokenize(b"Once upon a time"))
begun = time.perf_counter()
for _ in range(int(sys.argv[3])):
    model.eval([model.sample(temp=0.0)])
print(int(sys.argv[3]) / (time.perf_counter() - begun))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print("tokens/s alone")
    table(rounds)
    cores = os.cpu_count() or 1
    print(f"\ntokens/s beside {cores} busy loops")
    with busy(cores):
        table(rounds)


def table(rounds: int) -> None:
    """Print one row per value."""
    found: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
    for _ in range(rounds):
        for setting in SETTINGS:
            found[setting].append(decode(setting))
    base = statistics.median(found["default"])
    for setting, rates in found.items():
        median = statistics.median(rates)
        spread = f"{min(rates):.1f}…{max(rates):.1f}"
        print(f"  {setting:10}{median:8.1f}{spread:>16}   {median / base:5.2f} × default")


def decode(setting: str) -> float:
    """Tokens per second; after 20 s, an upper bound of them."""
    env = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    if setting != "default":
        env["GOMP_SPINCOUNT"] = setting
    threads = str(os.cpu_count() or 1)
    command = [sys.executable, "-c", DECODE, str(bundled()), threads, str(TOKENS)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, check=True, timeout=TOO_SLOW_S)
    except subprocess.TimeoutExpired:
        return TOKENS / TOO_SLOW_S
    return float(done.stdout.split()[-1])


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
