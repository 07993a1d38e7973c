"""What is true of queen, hive and worker from outside: a feature's words for it, and their values.

The figures are those of /proc, of the disk, and of the model's file; a worker's id is the one in
its command line.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from harness.model_files.bundled import bundled_path
from harness.watching import machine, node_installation
from harness.world import cluster
from harness.world.world import World


def expand(world: World, text: str) -> str:
    """Replace <queen pid>, <now>, <free memory> and the like by their values of this moment."""
    if "<version>" in text:
        judged = node_installation.version_of(world.commands.argv("hive"))
        text = text.replace("<version>", judged)
    for name, value in _values(world):
        text = text.replace(f"<{name}>", str(value))
    return text


def _values(world: World) -> Iterator[tuple[str, object]]:
    yield "host", machine.host_name()
    yield "now", machine.unix_time()
    yield "total memory", machine.memory_total_bytes()
    yield "free memory", machine.memory_free_bytes()
    yield "total disk", machine.disk_total_bytes(world.root)
    yield "free disk", machine.disk_free_bytes(world.root)
    yield "bundled file", bundled_path()
    yield "bundled size", bundled_path().stat().st_size
    yield from _of_model("model", world.model_files.small("Q8_0"))
    yield from _of_model("other", world.model_files.small("Q4_K_M"))
    queen = cluster.process_at(world, world.queen_url)
    yield "queen pid", queen.pid
    yield "queen started", queen.create_time()
    for worker in cluster.processes_of(world, "worker"):
        words = worker.cmdline()
        yield "worker id", words[words.index("--worker-id") + 1]
        yield "worker memory", worker.memory_info().rss


def _of_model(name: str, file: Path) -> Iterator[tuple[str, object]]:
    """One of the small models: one layer, and two heads of 64 numbers for keys and for values, two
    bytes each."""
    size = file.stat().st_size
    yield f"{name} size", size
    yield f"{name} sha256", hashlib.sha256(file.read_bytes()).hexdigest()
    cache = 8192 * 1 * 2 * 64 * 2 * 2
    yield f"{name} needs", max(1.2 * size, size + cache)
