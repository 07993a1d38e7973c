"""What was seen to end below a queen that was told to."""

from __future__ import annotations

from collections.abc import Iterable

from rbee.contract.events import Event
from rbee.contract.nodes import HiveGone
from rbee.contract.workers import NodeWorkerRow, WorkerGone

_ANOMALIES = {
    "killed": "it did not end in time and was killed",
    "lost": "the connection to it was lost; it ends by itself",
    "left": "another one started it; it goes on",
}


class Ending:
    """Feed it every event. `workers` are those that ran when the end was asked for."""

    def __init__(self, workers: Iterable[NodeWorkerRow]) -> None:
        self._nodes = {worker.worker_id: worker.node for worker in workers}
        self._gone: set[str] = set()
        self._hives: dict[str, HiveGone] = {}

    def take(self, event: Event) -> None:
        """Keep what this event tells."""
        if isinstance(event, WorkerGone):
            self._gone.add(event.worker_id)
        elif isinstance(event, HiveGone):
            self._hives[event.node] = event

    @property
    def told(self) -> str:
        """How many hives and workers ended."""
        ended = {
            hive.node: hive for hive in self._hives.values() if hive.how in ("ended", "killed")
        }
        # A worker's own end may go unheard when its hive ends with it.
        below = {worker for worker, node in self._nodes.items() if node in ended}
        workers = max(len(self._gone | below), sum(hive.workers for hive in ended.values()))
        return f"{_count(len(ended), 'hive')} and {_count(workers, 'worker')} ended"

    @property
    def notes(self) -> list[str]:
        """A line for each hive that did not end in order."""
        return [
            f"The hive on {hive.node}: {_ANOMALIES[hive.how]}."
            for hive in self._hives.values()
            if hive.how in _ANOMALIES
        ]


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
