"""What is true of queen, hive and worker from outside: a feature's words for it, and their values.

The figures are those of /proc, of the disk, and of the model's file; a worker's id is the one in
its command line.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from harness.model_files.bundled import bundled_path
from harness.watching import machine, node_installation
from harness.world import cluster, commands
from harness.world.world import World


def expand(world: World, text: str) -> str:
    """Replace <queen pid>, <now>, <model size> and the like by their values of this moment; that of
    <free memory> is a number and, after ±, by how much it may differ."""
    for name, value in _values(world).items():
        if f"<{name}>" in text:
            text = text.replace(f"<{name}>", str(value()))
    return text


def _values(world: World) -> dict[str, Callable[[], object]]:
    """Each is made only where it is named."""
    return {
        "version": lambda: node_installation.version_of(world.commands.argv("hive")),
        "host": machine.host_name,
        "now": machine.unix_time,
        "total memory": machine.memory_total_bytes,
        "free memory": _free_memory,
        "total disk": lambda: machine.disk_total_bytes(world.root),
        "free disk": lambda: machine.disk_free_bytes(world.root),
        "bundled file": bundled_path,
        "bundled size": lambda: bundled_path().stat().st_size,
        **_of_model("model", lambda: world.model_files.small("Q8_0")),
        **_of_model("other", lambda: world.model_files.small("Q4_K_M")),
        "queen pid": lambda: cluster.process_at(world, world.queen_url).pid,
        "queen started": lambda: cluster.process_at(world, world.queen_url).create_time(),
        "worker id": lambda: commands.options(cluster.wait_for_role(world, "worker").cmdline())[
            "worker-id"
        ],
        "worker memory": lambda: cluster.wait_for_role(world, "worker").memory_info().rss,
    }


def _free_memory() -> str:
    least, most = machine.free_range()
    return f"{(least + most) / 2} ± {(most - least) / 2}"


def _of_model(name: str, file: Callable[[], Path]) -> dict[str, Callable[[], object]]:
    return {
        f"{name} size": lambda: file().stat().st_size,
        f"{name} sha256": lambda: hashlib.sha256(file().read_bytes()).hexdigest(),
        f"{name} needs": lambda: _needs(file().stat().st_size),
    }


def _needs(size: int) -> float:
    """One of the small models: one layer, and two heads of 64 numbers for keys and for values, two
    bytes each."""
    cache = 8192 * 1 * 2 * 64 * 2 * 2
    return max(1.2 * size, size + cache)
