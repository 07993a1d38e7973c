"""Which worker answers: decided from what the hive's registry says."""

from __future__ import annotations

from collections.abc import Collection

from rbee.contract.workers import WorkerRow

# The nearer to answering, the better.
_ORDER = {"idle": 0, "busy": 1, "loading": 2}


def match(
    workers: Collection[WorkerRow], model_ref: str, backend: str | None, device: int | None
) -> WorkerRow | None:
    """The best worker that holds the model, on the backend and device if any were asked for.

    An idle one comes first, then one with a free slot, then one that is busy or still loading;
    None where there is none. An unhealthy worker is never chosen.
    """
    fitting = [
        worker
        for worker in workers
        if worker.model_ref == model_ref
        and worker.state in _ORDER
        and backend in (None, worker.backend)
        and device in (None, worker.device)
    ]
    return min(fitting, key=_rank, default=None)


def _rank(worker: WorkerRow) -> tuple[bool, int, int, str]:
    full = worker.state == "busy" and worker.slots_available == 0
    return (full, _ORDER[worker.state], -worker.slots_available, worker.id)
