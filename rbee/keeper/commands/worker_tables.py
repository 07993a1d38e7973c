"""Workers in words and in cells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rbee.contract.workers import NodeWorkerRow, WorkerCheck

LIST_HEADS = ("WORKER", "NODE", "MODEL", "STATE", "BACKEND", "SLOTS FREE")
HEALTH_HEADS = ("WORKER", "NODE", "MODEL", "STATE", "HEALTH", "MEMORY", "LAST ANSWER")
_UNKNOWN = "-"
_MB = 1_000_000


def list_cells(row: NodeWorkerRow) -> tuple[str, ...]:
    """As under LIST_HEADS."""
    return (
        row.worker_id,
        row.node,
        row.model_ref,
        row.state,
        f"{row.backend}:{row.device}",
        f"{row.slots_available} of {row.slots_total}",
    )


def health_cells(check: WorkerCheck) -> tuple[str, ...]:
    """As under HEALTH_HEADS; the hive's own last answer is told in local time."""
    memory, seen = check.memory_bytes, check.last_health
    return (
        check.worker_id,
        check.node,
        check.model_ref,
        check.state,
        check.status,
        _UNKNOWN if memory is None else f"{memory / _MB:.0f} MB",
        _UNKNOWN if seen is None else f"{datetime.fromtimestamp(seen):%H:%M:%S}",
    )


def are_healthy(checks: Sequence[WorkerCheck]) -> bool:
    return all(check.status == "healthy" for check in checks)


def started(row: NodeWorkerRow) -> str:
    """What came of a start."""
    return f"{row.worker_id} runs on {row.node}: {row.model_ref}, {row.backend}:{row.device}"
