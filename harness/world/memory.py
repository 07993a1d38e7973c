"""How much memory processes hold, in MB of 1,000,000 bytes."""

from collections.abc import Iterable

import psutil


def held_mb(processes: Iterable[psutil.Process]) -> float:
    """What would be free if they were gone: pages that nobody else has."""
    return sum(float(each.memory_full_info().uss) for each in processes) / 1_000_000
