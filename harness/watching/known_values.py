"""What is true of queen, hive and worker from outside: a feature's words for it, and their values.

The figures are those of /proc, of the disk, and of the model's file.
"""

import contextlib
import platform
import shutil
import time
from collections.abc import Iterator

import psutil

from harness.model_files.bundled import bundled_path
from harness.watching import node_installation
from harness.world import cluster
from harness.world.world import World


def expand(world: World, text: str) -> str:
    """Replace <queen pid>, <now>, <free memory> and the like by their values of this moment."""
    for name, value in _values(world):
        text = text.replace(f"<{name}>", str(value))
    return text


def _values(world: World) -> Iterator[tuple[str, object]]:
    yield "version", node_installation.package_version()
    yield "host", platform.node()
    yield "now", time.time()
    memory = psutil.virtual_memory()
    yield "total memory", memory.total
    yield "free memory", memory.available
    disk = shutil.disk_usage(world.root)
    yield "total disk", disk.total
    yield "free disk", disk.free
    yield "bundled file", bundled_path()
    yield "bundled size", bundled_path().stat().st_size
    for model in world.models.rglob("*.gguf"):
        yield "model size", model.stat().st_size
    queen = cluster.process_at(world, world.queen_url)
    yield "queen pid", queen.pid
    yield "queen started", queen.create_time()
    with contextlib.suppress(AssertionError):
        yield from _of_worker(world)


def _of_worker(world: World) -> Iterator[tuple[str, object]]:
    """Of the only worker: its id as the kernel has it, in its command line."""
    (process,) = cluster.processes_of(world, "worker")
    words = process.cmdline()
    yield "worker id", words[words.index("--worker-id") + 1]
    yield "worker memory", process.memory_info().rss
