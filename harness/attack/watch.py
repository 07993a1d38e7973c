"""What programs take, from outside: memory as /proc has it, and the size of their logs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.attack.verdict import Measured
from harness.world.waiting import NeverHappenedError, wait_until

_KB = 1024
_MB = 1_000_000
_RESET_PEAK = "5"  # proc(5), /proc/pid/clear_refs
_SETTLED_S = 3.0


@dataclass(frozen=True)
class Taken:
    """`memory` is by the process's id."""

    memory: dict[int, float]
    log_bytes: int


class Watch:
    """`pids` has the programs by name, and may change; `logs` is the folder of their log files."""

    def __init__(self, pids: Mapping[str, int], logs: Path) -> None:
        self._pids = pids
        self._logs = logs

    def begin(self) -> Taken:
        """What they take now; from now on their peaks count."""
        memory = {}
        for pid in self._pids.values():
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
            memory[pid] = resident_mb(pid)
        return Taken(memory, self._log_bytes())

    def end(self, before: Taken, calm_mb: float) -> Measured:
        """What they have taken more since. Memory gets some seconds to be given back."""
        peak = max((_peak_mb(pid) - was for pid, was in before.memory.items()), default=0.0)

        def growth() -> tuple[float, str]:
            names = {pid: name for name, pid in self._pids.items()}
            grown = (
                (resident_mb(pid) - was, names.get(pid, "")) for pid, was in before.memory.items()
            )
            return max(grown, default=(0.0, ""))

        with contextlib.suppress(NeverHappenedError):
            wait_until("memory to be given back", growth, _SETTLED_S, lambda of: of[0] <= calm_mb)
        grown_mb, name = growth()
        log_bytes = self._log_bytes() - before.log_bytes
        return Measured(grown_mb, max(peak, 0.0), log_bytes, name)

    def _log_bytes(self) -> int:
        return sum(file.stat().st_size for file in self._logs.glob("*.log*"))


def resident_mb(pid: int) -> float:
    """0 for a process that is gone."""
    return _status_mb(pid, "VmRSS")


def _peak_mb(pid: int) -> float:
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    for line in lines:
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * _KB / _MB
    return 0.0
