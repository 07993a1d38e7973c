"""How long llama.cpp's threads should spin at their barriers: alone, and beside a busy machine.

    python -m benchmarks.spinning [--rounds 5]

GNU OpenMP's GOMP_SPINCOUNT, measured by decoding with the bundled model, one process for each
setting, interleaved by round; then the same beside as many busy loops as there are cores. Tokens
per second: median, and the lowest and highest round. `default` is what OpenMP does by itself, and
what the worker leaves it at until this is decided.
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

# A process of its own: the libraries read the setting when they are loaded.
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
    """One row for each setting."""
    found: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
    for _ in range(rounds):
        for setting in SETTINGS:
            found[setting].append(decode(setting))
    base = statistics.median(found["default"])
    for setting, rates in found.items():
        median = statistics.median(rates)
        spread = f"{min(rates):.1f}…{max(rates):.1f}"
        print(f"  {setting:10}{median:8.1f}{spread:>16}   {median / base:5.2f} of default")


def decode(setting: str) -> float:
    """Tokens per second; where it takes longer than 20 s, what that would be at most."""
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
    """Other programs that want every core."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
