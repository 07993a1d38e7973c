"""Two checkouts side by side: what a change costs a person who waits.

    python -m benchmarks.side_by_side BEFORE [NOW] [--rounds 12]

BEFORE and NOW are folders with a checkout and its `.venv`; NOW is this one if it is left out. The
commands are interleaved by round, with the bundled model, a temporary HOME and ports of their own
for each. The figures are medians in milliseconds: of the time from Enter to the end (for `infer`
also to the first token), and of the processor time of all processes that have ended with the
command, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

_ASK = ["infer", "--prompt", "write a short story", "--max-tokens", "20", "--temperature", "0"]
_WARM_PER_ROUND = 3
_PORT = 28080


class Checkout:
    """A checkout with its figures, by name: one for each time that a command ran."""

    def __init__(self, folder: Path, home: str, port: int) -> None:
        self.figures: dict[str, list[float]] = defaultdict(list)
        self._keeper = folder / ".venv" / "bin" / "rbee-keeper"
        ports = {"RBEE_QUEEN_PORT": str(port), "RBEE_HIVE_PORT": str(port + 1000)}
        self._environment = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **ports}

    def run(self, name: str, *words: str) -> None:
        """Run a command of the keeper and note its figures."""
        before, began = _processor_ms(), time.perf_counter()
        pipe = subprocess.PIPE
        command = [str(self._keeper), *words]
        with subprocess.Popen(command, env=self._environment, stdout=pipe, stderr=pipe) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            first = time.perf_counter() - began
            _, errors = process.communicate()
        took = time.perf_counter() - began
        if process.returncode:
            sys.exit(f"{self._keeper} {words[0]} failed: {errors.decode()}")
        if words[0] == "infer":
            self.figures[f"{name}, first token"].append(1000 * first)
        self.figures[f"{name}, end"].append(1000 * took)
        self.figures[f"{name}, processor"].append(_processor_ms() - before)

    def round(self) -> None:
        """Run each command once, and those that take little several times."""
        self.run("cold infer", *_ASK)
        self.run("daemon start", "daemon", "start")
        self.run("infer that starts a worker", *_ASK)
        for _ in range(_WARM_PER_ROUND):
            self.run("warm infer", *_ASK)
            self.run("worker list", "worker", "list")
        self.run("daemon stop", "daemon", "stop")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("now", type=Path, nargs="?", default=Path.cwd())
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        both = [
            Checkout(given.before.absolute(), one, _PORT),
            Checkout(given.now.absolute(), other, _PORT + 1),
        ]
        for checkout in both:  # fills the caches of files and bytecode
            checkout.round()
            checkout.figures.clear()
        for number in range(given.rounds):
            for checkout in both if number % 2 else reversed(both):
                checkout.round()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {given.rounds} rounds\n")
    print(f"{'milliseconds':40}{'before':>10}{'now':>10}{'change':>10}")
    for name in both[0].figures:
        before, now = (statistics.median(each.figures[name]) for each in both)
        print(f"{name:40}{before:10.1f}{now:10.1f}{now - before:+10.1f}")


def _processor_ms() -> float:
    """Of all children that have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    main()
