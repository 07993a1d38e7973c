"""Downloads compared with huggingface_hub's own, kills during a download, and long listings.

    python -m benchmarks.downloads [--rounds 10] [--kills 20] [--models 1000]

Speed: the bundled model (98 MB) from a Hub on this machine, in a process of its own. Ours is timed
from the POST to the `complete` event: listing, header, transfer, sha256, fsync, catalog.
huggingface_hub's is `hf_hub_download` into an empty folder, which computes no hash. Both are warm
and alternate. A third download runs while the hive's health is requested every 5 ms.

Kills: one download from a slow Hub, during which the hive is killed (-9) at random moments.

Listing: the whole process `rbee-keeper models list`, with queen and hive up.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import time
from pathlib import Path

from benchmarks.download_processes import (
    HUB,
    asked,
    begin,
    digest,
    follow,
    helper,
    hive,
    http_get,
    hub,
    own,
    partial,
    probing,
    run,
    world,
)
from harness.model_files.bundled import bundled_path

LISTINGS = 10
TAKES_S = 4.0  # the download that is killed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    if chosen.rounds:
        speed(chosen.rounds)
    if chosen.kills:
        kills(chosen.kills, chosen.seed)
    if chosen.models:
        listing(chosen.models)


def speed(rounds: int) -> None:
    """Compare the seconds of both, round by round."""
    ours: list[float] = []
    theirs: list[float] = []
    health: list[float] = []
    with world() as env, hub(), helper(env) as other, hive(env):
        own(env), asked(other)  # for imports and caches
        for _ in range(rounds):
            ours.append(own(env))
            theirs.append(asked(other))
            with probing(env, health):
                own(env)
    size = bundled_path().stat().st_size / 1_000_000
    print(f"\n{size:.0f} MB from a Hub on this machine, {rounds} rounds, medians")
    for name, times in (("rbee, sha256 and fsync included", ours), ("hf_hub_download", theirs)):
        median = statistics.median(times)
        spread = f"({min(times):.2f} to {max(times):.2f})"
        print(f"  {name:42}{median:6.2f} s {spread}, {size / median:.0f} MB/s")
    ratios = [theirs / ours for ours, theirs in zip(ours, theirs, strict=True)]
    print(f"  {'median of the speed ratios (target 0.8)':42}{statistics.median(ratios):6.2f}")
    health.sort()
    p99 = 1000 * health[int(0.99 * len(health))]
    print(f"  {'health meanwhile, p99 (target 50 ms)':42}{p99:6.1f} ms of {len(health)} requests")


def kills(count: int, seed: int) -> None:
    """Kill one download `count` times; is it complete, and how much was sent twice?"""
    moments = random.Random(seed)
    size = bundled_path().stat().st_size
    twice: list[int] = []
    with world() as env, hub(size / TAKES_S):
        last = 0
        for _ in range(count):
            with hive(env) as process:
                began = begin(env)
                assert began["local_path"] is None, "it was complete before the last kill"
                time.sleep(moments.uniform(0, TAKES_S / count))
                there = partial(env)
                process.send_signal(signal.SIGKILL)
                process.wait()
            twice.append(max(0, there - partial(env)))
            assert partial(env) >= last, "something was lost"
            last = partial(env)
        with hive(env):
            follow(env, begin(env)["download_id"])
            path = begin(env)["local_path"]
        again = json.loads(http_get(HUB[1] + 1, "/"))["again"]
        same = digest(Path(path)) == digest(bundled_path())
    print(f"\n{count} kills -9 of the hive at random moments of one download (seed {seed})")
    print(f"  {'complete, by sha256':42}{'yes' if same else 'NO':>6}")
    print(f"  {'lost in a kill, at most':42}{max(twice) / 1_000_000:6.2f} MB")
    most = max(again, default=0) / 1_000_000
    print(f"  {'sent by the Hub again, at most':42}{most:6.2f} MB (target 2.1)")


def listing(count: int) -> None:
    """Time the whole process, with many models in the catalog."""
    with world() as env:
        folder = Path(env["HOME"]) / ".local/share/rbee/models"
        for number in range(count):
            path = folder / f"owner-{number % 50}" / f"repo-{number}" / "model-Q4_K_M.gguf"
            path.parent.mkdir(parents=True)
            path.write_bytes(b"GGUF")
        run(env, "daemon", "start")
        try:
            first = run(env, "models", "list")
            times = [run(env, "models", "list") for _ in range(LISTINGS)]
        finally:
            run(env, "daemon", "stop")
    print(f"\n`rbee-keeper models list` with {count} models, {LISTINGS} rounds")
    print(f"  {'the first, which finds them':42}{1000 * first:6.0f} ms")
    print(f"  {'median (target 300)':42}{1000 * statistics.median(times):6.0f} ms")


if __name__ == "__main__":
    main()
